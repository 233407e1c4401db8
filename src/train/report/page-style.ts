/** Colours of runs can be told apart in grey and by colour-blind readers (Okabe and Ito, 2008). */
export const pageStyle = `
:root { color-scheme: light dark; --text: #1b1f24; --soft: #667079; --line: #d9dee3; --ground: #ffffff; --box: #f5f7f9;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #b8860b; --c5: #56b4e9; --right: #00734f; --wrong: #b3261e }
@media (prefers-color-scheme: dark) { :root { --text: #e4e8ec; --soft: #98a2ac; --line: #343b43; --ground: #15191d;
  --box: #1d2227; --c0: #4aa8e0; --c1: #f08a45; --c2: #3cc79b; --c4: #d9b44a; --right: #4fd1a5; --wrong: #ff8a80 } }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif }
main { max-width: 1180px; margin: 0 auto; padding: 24px; overflow-wrap: anywhere }
h1 { font-size: 26px; margin: 0 0 16px } h2 { font-size: 19px; margin: 32px 0 8px } h3 { font-size: 16px; margin: 20px 0 8px }
table { border-collapse: collapse } th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { color: var(--soft); font-weight: 500 }
.summary { width: 100%; margin-bottom: 20px }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 18px }
.chart { margin: 0; padding: 12px; background: var(--box); border-radius: 8px } figcaption { font-weight: 600; display: flex; flex-wrap: wrap; gap: 4px 14px }
.legend { font-weight: 400; color: var(--soft); font-size: 13px; display: flex; flex-wrap: wrap; gap: 2px 12px }
i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 6px; background: currentColor }
svg { width: 100%; height: auto; display: block }
.grid { stroke: var(--line) } .tick { fill: var(--soft); font: 11px system-ui, sans-serif }
.curve { fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linejoin: round } .faint { opacity: 0.25; stroke-width: 1 }
.marks { stroke-width: 1.2; stroke-dasharray: 4 3 } .mark { fill: currentColor }
.c0 { color: var(--c0) } .c1 { color: var(--c1) } .c2 { color: var(--c2) } .c3 { color: var(--c3) } .c4 { color: var(--c4) } .c5 { color: var(--c5) }
.row, pre, blockquote { background: var(--box); border-radius: 8px; padding: 10px 12px; margin: 8px 0; overflow-x: auto; overflow-wrap: anywhere }
.row { font: 12.5px/1.9 ui-monospace, monospace } .row span { margin-right: 7px } .asked { border: 1px solid var(--line); border-radius: 4px; padding: 1px 4px }
.asked b { margin-left: 6px } .right { color: var(--right) } .wrong { color: var(--wrong) }
pre { font: 12.5px/1.5 ui-monospace, monospace } blockquote { white-space: pre-wrap } summary { cursor: pointer; margin: 8px 0 }
`
