import { explain, jobPath } from '../core/api'
import { h, replace } from '../core/dom'
import { bytes } from '../core/format'
import type { ResultFile } from '../core/types'

/** The list of files that the server made for a scan. */
export function downloadsPanel(id: string, known: Promise<ResultFile[]>, signal: AbortSignal): HTMLElement {
  const list = h('ul', { class: 'files' })
  const base = jobPath(id)
  const encode = (name: string) => name.split('/').map(encodeURIComponent).join('/')
  known.then(
    (files) => {
      const shown = files.filter((f) => !f.name.startsWith('preview/'))
      const items = shown.map((f) =>
        h(
          'li',
          {},
          h('a', { href: `${base}/files/${encode(f.name)}?download` }, f.name),
          h('span', { class: 'muted' }, ` ${bytes(f.bytes)}. ${f.description}`)
        )
      )
      replace(list, ...items)
    },
    (error: unknown) => {
      if (!signal.aborted) replace(list, h('li', {}, explain(error)))
    }
  )
  return h(
    'section',
    { class: 'panel', 'aria-labelledby': 'downloads-title' },
    h('h2', { id: 'downloads-title' }, 'Files'),
    h(
      'p',
      { class: 'row-actions' },
      h('a', { class: 'button', href: `${base}/files/report.html`, target: '_blank', rel: 'noopener' }, 'Report'),
      h('a', { class: 'button', href: `${base}/results.zip` }, 'All files (zip)')
    ),
    list
  )
}
