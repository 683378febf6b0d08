import { ApiError, getJson, postJson, request } from './api'
import type { UploadState } from './types'

const PIECE_BYTES = 8 * 1024 * 1024
const LONGEST_WAIT_MS = 15_000

export interface UploadWatch {
  progress?: (sent: number, total: number) => void
  /** The network broke and the upload waits before it goes on. */
  waiting?: (reason: string) => void
  signal?: AbortSignal
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(signal.reason as Error)
    })
  })
}

// Faults that pass by themselves: no network, a proxy without its server, too many requests.
function isTransient(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 502)
}

/** Repeats `action` until it succeeds or fails for good. */
async function persistently<T>(action: () => Promise<T>, watch: UploadWatch): Promise<T> {
  for (let wait = 1000; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
    try {
      return await action()
    } catch (error) {
      if (!isTransient(error)) throw error
      watch.waiting?.((error as ApiError).detail.reason)
      await pause(wait, watch.signal)
    }
  }
}

async function sendPiece(state: UploadState, file: Blob, signal?: AbortSignal): Promise<UploadState> {
  const piece = file.slice(state.offset, state.offset + PIECE_BYTES)
  const path = `/api/v1/uploads/${encodeURIComponent(state.id)}`
  try {
    const init: RequestInit = {
      method: 'PATCH',
      headers: { 'upload-offset': String(state.offset), 'content-type': 'application/octet-stream' },
      body: piece
    }
    if (signal) init.signal = signal
    return (await (await request(path, init)).json()) as UploadState
  } catch (error) {
    const isConflict = error instanceof ApiError && error.status === 409
    if (!isConflict && !isTransient(error)) throw error
    // The server may have stored the piece although its answer was lost. It knows its offset.
    return await getJson<UploadState>(path, signal)
  }
}

/** Sends a file in pieces and goes on after faults of the network. Returns the upload's ID. */
export async function upload(name: string, file: Blob, watch: UploadWatch = {}): Promise<string> {
  const state = await persistently(
    () => postJson<UploadState>('/api/v1/uploads', { name, size: file.size }),
    watch
  )
  try {
    await sendPieces(state, file, watch)
  } catch (error) {
    // A cancelled upload would take a place on the server until it is too old.
    if (watch.signal?.aborted) discardUpload(state.id).catch(() => undefined)
    throw error
  }
  return state.id
}

async function sendPieces(begun: UploadState, file: Blob, watch: UploadWatch): Promise<void> {
  let state = begun
  let stalls = 0
  while (state.offset < file.size) {
    watch.signal?.throwIfAborted()
    const before = state.offset
    state = await persistently(() => sendPiece(state, file, watch.signal), watch)
    watch.progress?.(state.offset, file.size)
    stalls = state.offset > before ? 0 : stalls + 1
    if (stalls > 0) await pause(Math.min(500 * 2 ** stalls, LONGEST_WAIT_MS), watch.signal)
    if (stalls > 8) {
      throw new ApiError(0, { kind: 'network', reason: 'The server does not store the file.', hint: 'Try again later.' })
    }
  }
}

async function discardUpload(id: string): Promise<void> {
  await request(`/api/v1/uploads/${encodeURIComponent(id)}`, { method: 'DELETE' })
}
