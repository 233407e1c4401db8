// @ts-check
// webpack without its separate command: `node run-webpack.mjs ./app.js <out>`.
import webpack from 'webpack'

const [entry = '', path = ''] = process.argv.slice(2)
webpack({ entry, mode: 'production', output: { path, filename: 'app.js' } }, (error, stats) => {
  console.log(error ?? stats?.toString({ all: false, errors: true }))
  process.exitCode = error || stats?.hasErrors() ? 1 : 0
})
