/** What the work list shows. It lives in the address, so a link and the back button restore it. */
export interface Query {
  state: string
  diagnosis: string
  reviewed: string
  q: string
  sort: string
  order: 'asc' | 'desc'
  page: number
}

export const PAGE_SIZE = 50

export function readQuery(): Query {
  const p = new URLSearchParams(location.search)
  return {
    state: p.get('state') ?? '',
    diagnosis: p.get('diagnosis') ?? '',
    reviewed: p.get('reviewed') ?? '',
    q: p.get('q') ?? '',
    sort: p.get('sort') ?? 'created',
    order: p.get('order') === 'asc' ? 'asc' : 'desc',
    page: Math.max(1, Number(p.get('page')) || 1)
  }
}

export function writeQuery(query: Query): void {
  const p = new URLSearchParams()
  for (const key of ['state', 'diagnosis', 'reviewed', 'q'] as const) if (query[key]) p.set(key, query[key])
  if (query.sort !== 'created' || query.order !== 'desc') {
    p.set('sort', query.sort)
    p.set('order', query.order)
  }
  if (query.page > 1) p.set('page', String(query.page))
  const text = p.toString()
  history.replaceState(null, '', text ? `/?${text}` : '/')
}

export function apiQuery(query: Query): string {
  const p = new URLSearchParams({ sort: query.sort, order: query.order, limit: String(PAGE_SIZE) })
  p.set('offset', String((query.page - 1) * PAGE_SIZE))
  for (const key of ['state', 'diagnosis', 'reviewed', 'q'] as const) if (query[key]) p.set(key, query[key])
  return `/api/v1/jobs?${p.toString()}`
}
