import type { ErrorDetail } from './types'

/** An answer of the server that is not a success, or no answer (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly detail: ErrorDetail
  ) {
    super(detail.hint ? `${detail.reason} ${detail.hint}` : detail.reason)
  }
}

let sessionEnded: () => void = () => {}

/** Registers what happens when the server no longer knows the session. */
export function onSessionEnd(action: () => void): void {
  sessionEnded = action
}

async function failure(response: Response): Promise<ApiError> {
  let detail: ErrorDetail = {
    kind: 'http',
    reason: `The server answered with status ${response.status}.`,
    hint: null
  }
  try {
    const body = (await response.json()) as { error?: ErrorDetail }
    if (body.error) detail = body.error
  } catch {
    // The answer of a proxy is not JSON. The status says what is known.
  }
  return new ApiError(response.status, detail)
}

/** Fetches a path of the API. Throws `ApiError` for every answer outside 200..299. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response
  try {
    response = await fetch(path, { credentials: 'same-origin', ...init })
  } catch (error) {
    if (init.signal?.aborted) throw error
    throw new ApiError(0, {
      kind: 'network',
      reason: 'The server does not answer.',
      hint: 'Check that it runs, then try again.'
    })
  }
  if (response.status === 401) sessionEnded()
  if (!response.ok) throw await failure(response)
  return response
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await request(path, signal ? { signal } : {})
  return (await response.json()) as T
}

export async function postJson<T>(path: string, body: unknown, headers: Record<string, string> = {}): Promise<T> {
  const response = await request(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body ?? {})
  })
  return (await response.json()) as T
}

export async function remove(path: string): Promise<void> {
  await request(path, { method: 'DELETE' })
}

export const jobPath = (id: string): string => `/api/v1/jobs/${encodeURIComponent(id)}`

/** The text of any error, for people. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
