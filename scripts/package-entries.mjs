// @ts-check
import { readFileSync } from 'node:fs'

/**
 * @typedef {object} PackageEntry
 * @property {string} subpath as in package.json: "./llm"
 * @property {string} source repository path of the source
 * @property {string} target repository path of the module that Node loads
 * @property {string} pageTarget repository path of the module that pages load
 * @property {string} declarations repository path
 */

/**
 * The modules that package.json exports, with what each condition leads to. Throws for an entry of another form.
 *
 * @returns {PackageEntry[]}
 */
export function packageEntries() {
  const { exports, main, browser, alias } = JSON.parse(readFileSync('package.json', 'utf8'))
  /** @param {string} subpath */
  const forPages = (subpath) => exports[subpath].browser ?? exports[subpath]
  // Parcel reads no exports unless it is told to, but these fields
  const parcel = Object.keys(exports).filter((subpath) => subpath !== '.' && subpath !== './package.json')
  const aliases = Object.fromEntries(parcel.map((subpath) => [subpath, forPages(subpath)]))
  if (main !== exports['.'].node || browser !== forPages('.') || JSON.stringify(alias) !== JSON.stringify(aliases))
    throw new Error(
      `package.json: "main", "browser" and "alias" should say what "exports" do: ${JSON.stringify(aliases)}`,
    )
  return Object.entries(exports)
    .filter(([subpath]) => subpath !== './package.json' && !subpath.endsWith('-worker'))
    .map(([subpath, conditions]) => {
      // a string is the same module for everybody
      const own = typeof conditions === 'string' ? null : conditions
      const target = (own?.node ?? conditions).replace('./', '')
      const pageTarget = (own?.browser ?? conditions).replace('./', '')
      const declarations = target.replace(/\.js$/, '.d.ts')
      const wanted = {
        types: `./${declarations}`,
        browser: `./${pageTarget}`,
        node: `./${target}`,
        default: `./${pageTarget}`,
      }
      // in this order: the first condition that holds is taken, and tools that name no platform are of browsers
      if (own && JSON.stringify(own) !== JSON.stringify(wanted))
        throw new Error(`package.json: exports["${subpath}"] should be ${JSON.stringify(wanted)}`)
      const source = target.replace('dist/', 'src/').replace(/\.js$/, '.ts')
      return { subpath, source, target, pageTarget, declarations }
    })
}
