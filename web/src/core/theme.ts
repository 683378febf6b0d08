import { h, on, setAttributes } from './dom'

const KEY = 'multirnet.theme'
type Theme = 'light' | 'dark'

function stored(): Theme | null {
  const value = localStorage.getItem(KEY)
  return value === 'light' || value === 'dark' ? value : null
}

function active(): Theme {
  return stored() ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light')
}

export function applyTheme(): void {
  document.documentElement.dataset['theme'] = active()
}

/** The switch between light and dark. Its choice outlives the page. */
export function themeSwitch(): HTMLElement {
  const element = h('button', { type: 'button', class: 'quiet', 'data-testid': 'theme' })
  const update = () => {
    applyTheme()
    const isDark = active() === 'dark'
    element.textContent = isDark ? 'Light' : 'Dark'
    setAttributes(element, { 'aria-label': isDark ? 'Use light colours' : 'Use dark colours' })
  }
  on(element, {
    click: () => {
      localStorage.setItem(KEY, active() === 'dark' ? 'light' : 'dark')
      update()
    }
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', update)
  update()
  return element
}
