import { add, button, h } from './dom'

/** Opens a modal dialog; the promise ends with its return value when it closes. */
export function openDialog(title: string, body: Node[], actions: HTMLElement[], testId: string): Promise<string> {
  const heading = h('h2', { id: `${testId}-title` }, title)
  const dialog = h('dialog', { 'aria-labelledby': `${testId}-title`, 'data-testid': testId })
  const bar = h('div', { class: 'dialog-actions' }, ...actions)
  add(dialog, heading, h('div', { class: 'dialog-body', tabindex: '0' }, ...body), bar)
  const opener = document.activeElement
  document.body.appendChild(dialog)
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove()
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus()
      resolve(dialog.returnValue)
    })
    dialog.showModal()
  })
}

function closes(label: string, value: string, kind: string): HTMLButtonElement {
  return button(label, { class: kind, 'data-testid': `dialog-${value}` }, (event) => {
    ;(event.currentTarget as Element).closest('dialog')?.close(value)
  })
}

/** Asks before something is lost. */
export async function confirmDialog(title: string, text: string, action: string): Promise<boolean> {
  const actions = [closes('Go back', 'no', 'quiet'), closes(action, 'yes', 'danger')]
  return (await openDialog(title, [h('p', {}, text)], actions, 'confirm-dialog')) === 'yes'
}

export async function showDialog(title: string, body: Node[], testId: string): Promise<void> {
  await openDialog(title, body, [closes('Close', 'close', 'primary')], testId)
}
