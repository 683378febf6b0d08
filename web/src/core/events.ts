import { ApiError, getJson } from './api'
import type { Job } from './types'

type Listener = {
  job?: (job: Job) => void
  removed?: (id: string) => void
  /** The stream is back after it broke: events were missed, so read everything again. */
  recovered?: () => void
  connection?: (isConnected: boolean) => void
}

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 5000

const listeners = new Set<Listener>()
let source: EventSource | null = null
let isLost = false
let wait = FIRST_WAIT_MS

export function listen(listener: Listener): () => void {
  listeners.add(listener)
  if (isLost) listener.connection?.(false)
  return () => listeners.delete(listener)
}

function data<T>(event: Event): T {
  return JSON.parse((event as MessageEvent<string>).data) as T
}

function connect(): void {
  const stream = new EventSource('/api/v1/events')
  source = stream
  stream.addEventListener('hello', () => {
    wait = FIRST_WAIT_MS
    if (!isLost) return
    isLost = false
    for (const l of listeners) {
      l.connection?.(true)
      l.recovered?.()
    }
  })
  stream.addEventListener('job', (event) => {
    const job = data<Job>(event)
    for (const l of listeners) l.job?.(job)
  })
  stream.addEventListener('removed', (event) => {
    const { id } = data<{ id: string }>(event)
    for (const l of listeners) l.removed?.(id)
  })
  stream.addEventListener('error', () => {
    if (source !== stream) return
    stream.close()
    source = null
    if (!isLost) {
      isLost = true
      for (const l of listeners) l.connection?.(false)
    }
    setTimeout(() => void reconnect(), wait)
    wait = Math.min(wait * 2, LONGEST_WAIT_MS)
  })
}

// An EventSource does not tell why it broke. A plain request tells a server that restarts from a
// session that ended.
async function reconnect(): Promise<void> {
  try {
    await getJson('/api/v1/server', AbortSignal.timeout(LONGEST_WAIT_MS))
    connect()
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return
    setTimeout(() => void reconnect(), wait)
    wait = Math.min(wait * 2, LONGEST_WAIT_MS)
  }
}

export function startEvents(): void {
  connect()
  // A browser may keep a page for its back button. The stream of a kept page would block it.
  window.addEventListener('pagehide', () => source?.close())
}
