import { showDialog } from '../core/dialog'
import { h } from '../core/dom'
import { KEYS } from './keyboard'

let isOpen = false

export async function showHelp(): Promise<void> {
  if (isOpen) return
  isOpen = true
  const parts = KEYS.map(([title, keys]) =>
    h(
      'section',
      {},
      h('h3', {}, title),
      h('dl', { class: 'keys' }, ...keys.map(([key, text]) => h('div', {}, h('dt', {}, h('kbd', {}, key)), h('dd', {}, `${text}.`))))
    )
  )
  await showDialog('Keys and mouse', parts, 'help-dialog')
  isOpen = false
}
