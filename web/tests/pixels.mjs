import { PNG } from 'pngjs'

/** The pixels of the canvas as they are on the screen. */
export async function canvasPixels(page) {
  return PNG.sync.read(await page.getByTestId('canvas').screenshot())
}

/** The number of pixels that are clearly coloured, which the grey CT is not. */
export function colouredPixels({ data }) {
  let count = 0
  for (let i = 0; i < data.length; i += 4) {
    const [r, g, b] = [data[i], data[i + 1], data[i + 2]]
    const isYellow = r > 180 && g > 170 && b < 120
    // The cross-hair is yellow and does not count.
    if (!isYellow && Math.max(r, g, b) - Math.min(r, g, b) > 40) count += 1
  }
  return count
}

/** The share of pixels that differ by more than `by` in any channel. */
export function difference(a, b, by = 12) {
  if (a.width !== b.width || a.height !== b.height) return 1
  let count = 0
  for (let i = 0; i < a.data.length; i += 4) {
    if ([0, 1, 2].some((c) => Math.abs(a.data[i + c] - b.data[i + c]) > by)) count += 1
  }
  return count / (a.width * a.height)
}

/** Repeats a look at the canvas until `accept` holds; returns the last look. */
export async function eventually(look, accept, what, limitMs = 60_000) {
  const end = Date.now() + limitMs
  for (;;) {
    const seen = await look()
    if (accept(seen)) return seen
    if (Date.now() > end) throw new Error(`${what}: not seen within ${limitMs / 1000} s (last: ${JSON.stringify(seen)?.slice(0, 200)})`)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
}
