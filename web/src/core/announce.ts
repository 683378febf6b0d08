import { h, setText } from './dom'

const region = h('div', { class: 'visually-hidden', role: 'status', 'aria-live': 'polite' })
const toast = h('div', { class: 'toast', role: 'alert', hidden: true, 'data-testid': 'toast' })
let timer = 0

export function liveRegions(): HTMLElement[] {
  return [region, toast]
}

/** Tells a screen reader what changed. */
export function announce(text: string): void {
  setText(region, text)
}

/** Shows an error for a while; `role=alert` speaks it at once. */
export function alertPerson(text: string): void {
  toast.textContent = text
  toast.hidden = false
  clearTimeout(timer)
  timer = window.setTimeout(() => {
    toast.hidden = true
  }, 12_000)
}
