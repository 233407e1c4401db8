import type { BlockMap } from './block-map.ts'

/**
 * A block map as text: a row per query tile, `█` full, `▒` partial, `·` empty; several tiles share a character when there
 * are more than `size` (48) of them. The last line says the density.
 */
export function drawBlockMap(map: BlockMap, size = 48): string {
  const { qTiles, kTiles, tileQ, tileK } = map
  const [height, width] = [Math.min(qTiles, size), Math.min(kTiles, size)]
  // per character: tiles it stands for, tiles streamed, tiles full
  const cells = Array.from({ length: height * width }, () => ({ tiles: 0, streamed: 0, full: 0 }))
  const cell = (q: number, k: number) =>
    cells[Math.floor((q * height) / qTiles) * width + Math.floor((k * width) / kTiles)] as (typeof cells)[number]
  for (let q = 0; q < qTiles; q++) {
    for (let k = 0; k < kTiles; k++) cell(q, k).tiles++
    for (let run = map.rowStart[q] as number; run < (map.rowStart[q + 1] as number); run++)
      for (let k = (map.runs[run * 3] as number) / tileK; k < (map.runs[run * 3 + 1] as number) / tileK; k++) {
        cell(q, k).streamed++
        if (map.runs[run * 3 + 2]) cell(q, k).full++
      }
  }
  const lines = Array.from({ length: height }, (_, row) =>
    cells
      .slice(row * width, (row + 1) * width)
      .map(({ tiles, streamed, full }) => (full === tiles ? '█' : streamed === 0 ? '·' : '▒'))
      .join(''),
  )
  const percent = (share: number) => `${(share * 100).toFixed(1)} %`
  const summary = `${qTiles} × ${kTiles} tiles of ${tileQ} queries × ${tileK} keys: ${percent(map.density)} streamed, ${percent(map.fullDensity)} full`
  return `${[...lines, summary].join('\n')}\n`
}
