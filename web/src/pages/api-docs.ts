import { explain, getJson } from '../core/api'
import { add, h, labelled, on, replace, setText } from '../core/dom'
import { plural } from '../core/format'
import type { Page } from '../core/router'
import { describeSchema, follow, type OpenApi, type Operation, type Parameter, type Schema } from './openapi'

const METHODS = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options']

function schemaLink(schema: Schema | undefined): Node {
  const text = describeSchema(schema)
  const name = schema?.$ref ?? schema?.items?.$ref
  if (!name) return h('code', {}, text)
  return h('a', { href: `#schema-${name.split('/').at(-1) ?? ''}` }, h('code', {}, text))
}

function properties(schema: Schema, caption: string): HTMLElement {
  const rows = Object.entries(schema.properties ?? {}).map(([name, p]) =>
    h(
      'tr',
      {},
      h('th', { scope: 'row' }, h('code', {}, name), schema.required?.includes(name) ? h('span', { class: 'required' }, ' required') : null),
      h('td', {}, schemaLink(p)),
      h('td', {}, p.description ?? '')
    )
  )
  const head = ['Name', 'Type', 'Meaning'].map((t) => h('th', { scope: 'col' }, t))
  return h('table', {}, h('caption', { class: 'visually-hidden' }, caption), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows))
}

function content(media: Record<string, { schema?: Schema }> | undefined, caption: string): HTMLElement[] {
  return Object.entries(media ?? {}).map(([type, { schema }]) =>
    h('div', { class: 'content' }, h('code', {}, type), schema ? h('span', {}, ' ', schemaLink(schema)) : null, schema?.properties ? properties(schema, caption) : null)
  )
}

function parameterTable(api: OpenApi, parameters: Parameter[], caption: string): HTMLElement {
  const rows = parameters
    .map((p) => follow(api, p))
    .map((p) =>
      h(
        'tr',
        {},
        h('th', { scope: 'row' }, h('code', {}, p.name), p.required ? h('span', { class: 'required' }, ' required') : null),
        h('td', {}, p.in),
        h('td', {}, schemaLink(p.schema)),
        h('td', {}, p.description ?? '')
      )
    )
  const head = ['Name', 'In', 'Type', 'Meaning'].map((t) => h('th', { scope: 'col' }, t))
  return h('table', {}, h('caption', { class: 'visually-hidden' }, caption), h('thead', {}, h('tr', {}, ...head)), h('tbody', {}, ...rows))
}

function operationPanel(api: OpenApi, path: string, method: string, operation: Operation, shared: Parameter[]): HTMLElement {
  const title = h('summary', {}, h('span', { class: `method method-${method}` }, method.toUpperCase()), h('code', {}, path), h('span', { class: 'muted' }, operation.summary ?? ''))
  const panel = h('details', { class: 'operation' }, title)
  const name = `${method.toUpperCase()} ${path}`
  if (operation.description) add(panel, h('p', {}, operation.description))
  const parameters = [...shared, ...(operation.parameters ?? [])]
  if (parameters.length > 0) add(panel, h('h3', {}, 'Parameters'), parameterTable(api, parameters, `Parameters of ${name}`))
  if (operation.requestBody) {
    const required = operation.requestBody.required ? ' (required)' : ''
    add(panel, h('h3', {}, `Body${required}`), operation.requestBody.description ?? '', ...content(operation.requestBody.content, `Body of ${name}`))
  }
  const answers = Object.entries(operation.responses ?? {})
  if (answers.length > 0) {
    add(panel, h('h3', {}, 'Answers'))
    const list = h('dl', { class: 'answers' })
    for (const [status, answer] of answers) {
      const known = follow(api, answer)
      add(list, h('div', {}, h('dt', {}, h('code', {}, status)), h('dd', {}, known.description ?? '', ...content(known.content, `Answer ${status} of ${name}`))))
    }
    add(panel, list)
  }
  return panel
}

function schemaPanel(name: string, schema: Schema): HTMLElement {
  const panel = h('details', { class: 'operation', id: `schema-${name}` }, h('summary', {}, h('code', {}, name), h('span', { class: 'muted' }, schema.description ?? '')))
  add(panel, schema.properties ? properties(schema, name) : h('p', {}, h('code', {}, describeSchema(schema))))
  return panel
}

function show(api: OpenApi, target: HTMLElement): void {
  const entries: [HTMLElement, string][] = []
  const operations = h('div', {})
  for (const [path, item] of Object.entries(api.paths)) {
    const shared = Array.isArray(item['parameters']) ? item['parameters'] : []
    for (const method of METHODS) {
      const operation = item[method]
      if (!operation || typeof operation === 'string' || Array.isArray(operation)) continue
      const panel = operationPanel(api, path, method, operation, shared)
      add(operations, panel)
      entries.push([panel, `${method} ${path} ${operation.summary ?? ''} ${operation.description ?? ''} ${(operation.tags ?? []).join(' ')}`.toLowerCase()])
    }
  }
  const schemas = h('div', {})
  for (const [name, schema] of Object.entries(api.components?.schemas ?? {})) {
    const panel = schemaPanel(name, schema)
    add(schemas, panel)
    entries.push([panel, `${name} ${schema.description ?? ''} ${Object.keys(schema.properties ?? {}).join(' ')}`.toLowerCase()])
  }
  const count = h('p', { class: 'muted', role: 'status' })
  const filter = h('input', { type: 'search', placeholder: 'Path, method or word', 'data-testid': 'api-filter' })
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean)
    let n = 0
    for (const [panel, text] of entries) {
      panel.hidden = !words.every((w) => text.includes(w))
      if (!panel.hidden) n += 1
    }
    setText(count, `${plural(n, 'entry', 'entries')} shown.`)
  }
  on(filter, { input: apply })
  apply()
  replace(
    target,
    h('p', {}, `${api.info.title}, version ${api.info.version}. ${api.info.description ?? ''}`),
    h('p', {}, h('a', { href: '/api/openapi.json' }, 'openapi.json')),
    labelled('Filter', filter),
    count,
    h('h2', {}, 'Paths'),
    operations,
    h('h2', {}, 'Schemas'),
    schemas
  )
  // A link to a schema opens it.
  target.addEventListener('click', (event) => {
    const link = (event.target as Element).closest('a[href^="#schema-"]')
    const panel = link && document.getElementById(link.getAttribute('href')?.slice(1) ?? '')
    if (panel instanceof HTMLDetailsElement) panel.open = true
  })
}

export function apiDocsPage(): Page {
  const ending = new AbortController()
  const body = h('div', {}, h('p', {}, 'The description is loading.'))
  getJson<OpenApi>('/api/openapi.json', ending.signal).then(
    (api) => show(api, body),
    (error: unknown) => {
      if (!ending.signal.aborted) replace(body, h('p', { role: 'alert' }, explain(error)))
    }
  )
  return { title: 'API', element: h('section', { class: 'document api-docs' }, h('h1', {}, 'API'), body), close: () => ending.abort() }
}
