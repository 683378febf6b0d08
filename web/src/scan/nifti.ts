import { request } from '../core/api'

async function readAll(response: Response, progress?: (share: number) => void): Promise<Uint8Array> {
  const total = Number(response.headers.get('content-length')) || 0
  const reader = response.body?.getReader()
  if (!reader) return new Uint8Array(await response.arrayBuffer())
  // With a known length the bytes go to their final place, which halves the memory that is needed.
  let whole = new Uint8Array(total || 1 << 20)
  let length = 0
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    if (length + value.length > whole.length) {
      const larger = new Uint8Array(Math.max(whole.length * 2, length + value.length))
      larger.set(whole.subarray(0, length))
      whole = larger
    }
    whole.set(value, length)
    length += value.length
    if (total) progress?.(length / total)
  }
  return length === whole.length ? whole : whole.slice(0, length)
}

async function transform(bytes: Uint8Array, stream: CompressionStream | DecompressionStream): Promise<ArrayBuffer> {
  const source = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream()
  return await new Response(source.pipeThrough(stream)).arrayBuffer()
}

/** Fetches a NIfTI file and decompresses it if it is compressed. */
export async function fetchNifti(
  path: string,
  signal: AbortSignal,
  progress?: (share: number) => void
): Promise<ArrayBuffer> {
  const bytes = await readAll(await request(path, { signal }), progress)
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b
  return isGzip ? await transform(bytes, new DecompressionStream('gzip')) : (bytes.buffer as ArrayBuffer)
}

/** The bytes before the voxels, by the header's `vox_offset`. */
function headerLength(file: ArrayBuffer): number {
  const view = new DataView(file)
  if (view.getInt32(0, true) === 348) return view.getFloat32(108, true)
  if (view.getInt32(0, false) === 348) return view.getFloat32(108, false)
  throw new Error('The lesion map is not a NIfTI-1 file.')
}

/** A compressed NIfTI file with the header of `like` and other voxels. */
export async function encodeLabels(like: ArrayBuffer, voxels: Uint8Array): Promise<Blob> {
  const start = headerLength(like)
  if (like.byteLength !== start + voxels.length) throw new Error('The lesion map has another size than the scan.')
  const file = new Uint8Array(like.byteLength)
  file.set(new Uint8Array(like, 0, start))
  file.set(voxels, start)
  return new Blob([await transform(file, new CompressionStream('gzip'))], { type: 'application/gzip' })
}
