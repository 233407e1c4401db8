const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

/**
 * A local time by C's directives, names in English (the locale "C"). `%-d` leaves the padding out, as on Linux; a
 * directive that is none stays as it is written.
 */
export function strftime(date: Date, format: string): string {
  return format.replace(/%([-_0^]?)([A-Za-z%])/g, (whole, flag, letter) => {
    const value = directive(date, letter)
    if (value === null) return whole
    if (flag === '-') return value.replace(/^0+(?=.)/, '')
    if (flag === '_') return value.replace(/^0+(?=.)/, (zeros: string) => ' '.repeat(zeros.length))
    return flag === '^' ? value.toUpperCase() : value
  })
}

const two = (value: number) => String(value).padStart(2, '0')

function directive(date: Date, letter: string): string | null {
  const day = date.getDay()
  const hour = date.getHours()
  const twelve = hour % 12 || 12
  const ofYear = dayOfYear(date)
  switch (letter) {
    case 'a':
      return (days[day] ?? '').slice(0, 3)
    case 'A':
      return days[day] ?? ''
    case 'b':
    case 'h':
      return (months[date.getMonth()] ?? '').slice(0, 3)
    case 'B':
      return months[date.getMonth()] ?? ''
    case 'c':
      return strftime(date, '%a %b %e %H:%M:%S %Y')
    case 'C':
      return two(Math.floor(date.getFullYear() / 100))
    case 'd':
      return two(date.getDate())
    case 'D':
    case 'x':
      return strftime(date, '%m/%d/%y')
    case 'e':
      return String(date.getDate()).padStart(2, ' ')
    case 'f':
      return String(date.getMilliseconds() * 1000).padStart(6, '0')
    case 'F':
      return strftime(date, '%Y-%m-%d')
    case 'G':
      return String(isoWeek(date).year)
    case 'H':
      return two(hour)
    case 'I':
      return two(twelve)
    case 'j':
      return String(ofYear).padStart(3, '0')
    case 'k':
      return String(hour).padStart(2, ' ')
    case 'l':
      return String(twelve).padStart(2, ' ')
    case 'm':
      return two(date.getMonth() + 1)
    case 'M':
      return two(date.getMinutes())
    case 'n':
      return '\n'
    case 'p':
      return hour < 12 ? 'AM' : 'PM'
    case 'P':
      return hour < 12 ? 'am' : 'pm'
    case 'r':
      return strftime(date, '%I:%M:%S %p')
    case 'R':
      return strftime(date, '%H:%M')
    case 's':
      return String(Math.floor(date.getTime() / 1000))
    case 'S':
      return two(date.getSeconds())
    case 't':
      return '\t'
    case 'T':
    case 'X':
      return strftime(date, '%H:%M:%S')
    case 'u':
      return String(day || 7)
    case 'U':
      return two(Math.floor((ofYear + 6 - day) / 7))
    case 'V':
      return two(isoWeek(date).week)
    case 'w':
      return String(day)
    case 'W':
      return two(Math.floor((ofYear + 6 - ((day + 6) % 7)) / 7))
    case 'y':
      return two(date.getFullYear() % 100)
    case 'Y':
      return String(date.getFullYear())
    // Python's time of day that knows of no zone
    case 'z':
    case 'Z':
      return ''
    case '%':
      return '%'
    default:
      return null
  }
}

function dayOfYear(date: Date): number {
  const noon = (year: number, month: number, day: number) => Date.UTC(year, month, day, 12)
  const sinceNewYear = noon(date.getFullYear(), date.getMonth(), date.getDate()) - noon(date.getFullYear(), 0, 1)
  return Math.round(sinceNewYear / 86_400_000) + 1
}

/** The week of ISO 8601: it belongs to the year of its Thursday. */
function isoWeek(date: Date): { year: number; week: number } {
  const thursday = new Date(date.getFullYear(), date.getMonth(), date.getDate() + 4 - (date.getDay() || 7))
  return { year: thursday.getFullYear(), week: Math.ceil(dayOfYear(thursday) / 7) }
}
