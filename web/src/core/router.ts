/** A page that is on the screen. */
export interface Page {
  title: string
  element: HTMLElement
  /** Frees what the page holds. */
  close?: () => void
  /** Whether the page may be left; it asks the person if something would be lost. */
  mayLeave?: () => Promise<boolean>
}

export type Route = (match: RegExpMatchArray) => Page

const routes: [RegExp, Route][] = []
let current: Page | null = null
let shownPath = ''
let show: (page: Page, isFirst: boolean) => void = () => {}

export function route(pattern: RegExp, open: Route): void {
  routes.push([pattern, open])
}

function open(isFirst: boolean): void {
  current?.close?.()
  shownPath = location.pathname + location.search
  for (const [pattern, make] of routes) {
    const match = location.pathname.match(pattern)
    if (match) {
      current = make(match)
      show(current, isFirst)
      return
    }
  }
}

export async function navigate(path: string): Promise<void> {
  if (current?.mayLeave && !(await current.mayLeave())) return
  history.pushState(null, '', path)
  open(false)
}

async function goBack(): Promise<void> {
  if (location.pathname + location.search === shownPath) return
  if (current?.mayLeave) {
    const target = location.pathname + location.search
    // The browser has already changed the address. It returns until the person has answered.
    history.pushState(null, '', shownPath)
    if (!(await current.mayLeave())) return
    history.pushState(null, '', target)
  }
  open(false)
}

/** Starts routing: links of this origin change the page without loading a document. */
export function startRouter(display: (page: Page, isFirst: boolean) => void): void {
  show = display
  window.addEventListener('popstate', () => void goBack())
  document.addEventListener('click', (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey) return
    const link = (event.target as Element).closest('a')
    if (!link || !link.hasAttribute('data-route')) return
    event.preventDefault()
    void navigate(link.pathname + link.search)
  })
  open(true)
}
