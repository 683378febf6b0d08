import './styles/base.css'
import './styles/controls.css'
import './styles/list.css'
import './styles/scan.css'
import './styles/panels.css'
import './styles/documents.css'
import { onSessionEnd } from './core/api'
import { h } from './core/dom'
import { startEvents } from './core/events'
import { route, startRouter } from './core/router'
import { buildShell, showPage, showSessionEnd } from './core/shell'
import { applyTheme } from './core/theme'
import { workListPage } from './list/page'
import { apiDocsPage } from './pages/api-docs'
import { correctionsPage } from './pages/corrections'
import { modelsPage } from './pages/models'
import { scanPage } from './scan/page'

applyTheme()
const root = document.getElementById('app')
if (root) {
  let hasEnded = false
  onSessionEnd(() => {
    if (hasEnded) return
    hasEnded = true
    showSessionEnd(root)
  })
  buildShell(root)
  route(/^\/$/, () => workListPage())
  route(/^\/scan\/([^/]+)$/, (match) => scanPage(decodeURIComponent(match[1] ?? '')))
  route(/^\/corrections$/, () => correctionsPage())
  route(/^\/models$/, () => modelsPage())
  route(/^\/api\/docs$/, () => apiDocsPage())
  route(/^/, () => ({
    title: 'Not found',
    element: h('section', {}, h('h1', {}, 'There is no such page'), h('a', { href: '/', 'data-route': true }, 'Go to the work list'))
  }))
  startRouter(showPage)
  startEvents()
}
