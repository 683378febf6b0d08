import { liveRegions } from './announce'
import { add, h, replace, setAttributes, setText } from './dom'
import { forgetServerInfo, serverInfo } from './server-info'
import { listen } from './events'
import { themeSwitch } from './theme'
import type { Page } from './router'

const LINKS = [
  ['/', 'Work list'],
  ['/corrections', 'Corrections'],
  ['/models', 'Models'],
  ['/api/docs', 'API']
] as const

const main = h('main', { id: 'main', tabindex: '-1' })
const nav = h('nav', { 'aria-label': 'Pages' })
const notice = h('strong', { 'data-testid': 'notice' }, 'For research use only. Not a medical device.')
const validation = h('span', { 'data-testid': 'validation', hidden: true })
const connection = h('div', { class: 'connection', role: 'status', 'data-testid': 'connection' })

function header(): HTMLElement {
  for (const [path, label] of LINKS) add(nav, h('a', { href: path, 'data-route': true }, label))
  return h(
    'header',
    { class: 'top' },
    h('a', { class: 'brand', href: '/', 'data-route': true, 'aria-label': 'multirnet, work list' }, 'multirnet'),
    nav,
    themeSwitch()
  )
}

function footer(): HTMLElement {
  const version = h('span', { class: 'version' })
  serverInfo().then((s) => setText(version, `multirnet ${s.version}`), () => {})
  return h(
    'footer',
    { class: 'bottom' },
    h('div', { class: 'notices' }, notice, validation),
    h('div', { class: 'footer-links' }, version, h('a', { href: '/licences.txt' }, 'Licences'))
  )
}

function showNotices(): void {
  serverInfo().then(
    (server) => {
      setText(notice, server.notice)
      setText(validation, server.model.validation_notice ?? '')
      validation.hidden = server.model.validation_notice === null
    },
    () => {}
  )
}

export function buildShell(root: HTMLElement): void {
  const skip = h('a', { class: 'skip', href: '#main' }, 'Skip to the content')
  skip.addEventListener('click', (event) => {
    event.preventDefault()
    main.focus()
  })
  replace(root, skip, header(), connection, main, footer(), ...liveRegions())
  showNotices()
  listen({
    connection: (isConnected) => {
      setText(connection, isConnected ? '' : 'Connection lost, trying again.')
      connection.classList.toggle('is-lost', !isConnected)
    },
    recovered: () => {
      // A restarted server may run another model.
      forgetServerInfo()
      showNotices()
    }
  })
}

export function showPage(page: Page, isFirst: boolean): void {
  document.title = `${page.title} – multirnet`
  for (const link of nav.querySelectorAll('a')) {
    setAttributes(link, { 'aria-current': link.pathname === location.pathname ? 'page' : null })
  }
  replace(main, page.element)
  window.scrollTo(0, 0)
  if (!isFirst) main.focus({ preventScroll: true })
}

export function showSessionEnd(root: HTMLElement): void {
  const heading = h('h1', {}, 'Your session has ended')
  replace(
    root,
    h(
      'main',
      { class: 'session-end', role: 'alert' },
      heading,
      h('p', {}, 'Your session has ended. Open the link that the server printed, or sign in.'),
      h('p', {}, h('a', { href: '/' }, 'Go to the start page'))
    )
  )
}
