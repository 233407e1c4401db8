/** What the tests use of webpack, so that types are checked where it is not installed. */
declare module 'webpack' {
  interface Stats {
    toString(options: object): string
    hasErrors(): boolean
  }
  function webpack(options: object, done: (error: Error | null, stats?: Stats) => void): void
  export = webpack
}
