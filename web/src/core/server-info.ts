import { getJson } from './api'
import type { ServerInfo } from './types'

let answer: Promise<ServerInfo> | null = null

/** What the server says of itself; asked once a page load and again after a reconnect. */
export function serverInfo(): Promise<ServerInfo> {
  answer ??= getJson<ServerInfo>('/api/v1/server').catch((error: unknown) => {
    answer = null
    throw error
  })
  return answer
}

export function forgetServerInfo(): void {
  answer = null
}
