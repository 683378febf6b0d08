import { explain, getJson } from '../core/api'
import { add, h, replace } from '../core/dom'
import type { Page } from '../core/router'
import type { ModelEntry, Score } from '../core/types'

function scoreRow(s: Score): HTMLElement {
  const value = (v: number) => (Number.isInteger(v) ? String(v) : v.toFixed(v < 1 ? 3 : 1))
  const interval = s.interval ? `${value(s.interval[0])} to ${value(s.interval[1])}` : '–'
  return h(
    'tr',
    {},
    h('td', {}, s.metric),
    h('td', { class: 'numeric' }, value(s.value)),
    h('td', { class: 'numeric nowrap' }, interval),
    h('td', {}, s.on),
    h('td', { class: 'numeric' }, s.cases),
    h('td', {}, s.kind),
    h('td', {}, s.seen)
  )
}

function scores(list: Score[]): HTMLElement {
  const labels = ['Metric', 'Value', '95 % interval', 'Measured on', 'Cases', 'Content', 'Seen by the model']
  const head = labels.map((t) => h('th', { scope: 'col' }, t))
  const table = h('table', { class: 'scores' }, h('caption', {}, 'Scores'), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...list.map(scoreRow)))
  return h('div', { class: 'table-scroll', tabindex: '0', role: 'region', 'aria-label': 'Scores' }, table)
}

function validation(entry: ModelEntry): string {
  const list = (names: string[]) => (names.length > 0 ? names.join(', ') : 'nothing')
  const { lesions, classes } = entry.card.validated_on
  return `Lesions: ${list(lesions)}. Classes: ${list(classes)}.`
}

function card(entry: ModelEntry): HTMLElement {
  const { card } = entry
  const facts = h('dl', { class: 'facts' })
  const fact = (name: string, value: string | null | undefined) => {
    if (value) add(facts, h('div', {}, h('dt', {}, name), h('dd', {}, value)))
  }
  fact('Trained on', card.trained_on)
  fact('Validated on', validation(entry))
  fact('Validation', card.validation)
  fact('Threshold', card.threshold === null || card.threshold === undefined ? null : String(card.threshold))
  fact('Version', card.version)
  fact('Licence', card.licence)
  fact('File', entry.path ?? 'built in')
  fact('SHA-256', entry.sha256)
  const element = h(
    'article',
    { class: 'panel model' },
    h('h2', {}, entry.name, entry.is_active ? h('span', { class: 'tag' }, 'in use') : null, entry.is_default ? h('span', { class: 'tag' }, 'default') : null)
  )
  if (!card.validated_on.classes.includes('patients')) add(element, h('p', { class: 'validation-text' }, 'The classes of this model are not validated on patients.'))
  if (!card.validated_on.lesions.includes('patients')) add(element, h('p', { class: 'validation-text' }, 'The lesions of this model are not validated on patients.'))
  add(element, facts)
  if (card.scores && card.scores.length > 0) add(element, scores(card.scores))
  if (card.attribution && card.attribution.length > 0) {
    add(element, h('h3', {}, 'Attribution'), h('ul', {}, ...card.attribution.map((a) => h('li', {}, a))))
  }
  return element
}

export function modelsPage(): Page {
  const ending = new AbortController()
  const list = h('div', { class: 'models' }, h('p', {}, 'The models are loading.'))
  getJson<{ models: ModelEntry[] }>('/api/v1/models', ending.signal).then(
    ({ models }) => replace(list, ...models.map(card)),
    (error: unknown) => {
      if (!ending.signal.aborted) replace(list, h('p', { role: 'alert' }, explain(error)))
    }
  )
  return { title: 'Models', element: h('section', { class: 'document' }, h('h1', {}, 'Models'), list), close: () => ending.abort() }
}
