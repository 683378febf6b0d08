import { announce } from '../core/announce'
import { explain, postJson } from '../core/api'
import { add, button, h, on, setText } from '../core/dom'
import { bytes, wholePercent } from '../core/format'
import { upload } from '../core/upload'
import type { Job } from '../core/types'

const ACCEPTED = ['.nii', '.nii.gz', '.nrrd', '.mha', '.zip', '.dcm']

// Two files at a time keep a slow line busy without starving either.
const PARALLEL = 2

/** The button, the drop area and the list of files that are on their way. */
export class Uploads {
  readonly element = h('section', { class: 'uploads', 'aria-label': 'Uploads' })
  readonly control: HTMLElement
  private readonly list = h('ul', { class: 'upload-list' })
  private readonly waiting: (() => Promise<void>)[] = []
  private active = 0

  constructor(private readonly created: (job: Job) => void) {
    const input = h('input', {
      type: 'file',
      multiple: true,
      accept: ACCEPTED.join(','),
      class: 'visually-hidden',
      id: 'upload-input',
      'data-testid': 'upload-input'
    })
    on(input, {
      change: () => {
        this.addFiles(input.files)
        // The same file can then be chosen again.
        input.value = ''
      }
    })
    const label = h('label', { for: 'upload-input', class: 'button primary' }, 'Upload scans')
    this.control = h('span', { class: 'upload-control' }, input, label)
    add(this.element, this.list)
  }

  /** Accepts files that the person drops anywhere on the page. Returns a function that ends it. */
  acceptDrops(): () => void {
    const ending = new AbortController()
    const { signal } = ending
    const mark = (isOver: boolean) => document.body.classList.toggle('is-dropping', isOver)
    const isFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false
    document.addEventListener(
      'dragover',
      (event) => {
        if (!isFiles(event)) return
        event.preventDefault()
        mark(true)
      },
      { signal }
    )
    document.addEventListener('dragleave', (event) => event.relatedTarget === null && mark(false), { signal })
    document.addEventListener(
      'drop',
      (event) => {
        if (!isFiles(event)) return
        event.preventDefault()
        mark(false)
        this.addFiles(event.dataTransfer?.files ?? null)
      },
      { signal }
    )
    return () => {
      mark(false)
      ending.abort()
    }
  }

  private addFiles(files: FileList | null): void {
    for (const file of files ?? []) this.queue(file)
    this.next()
  }

  private queue(file: File): void {
    const bar = h('progress', { max: 1, value: 0, 'aria-label': `Upload of ${file.name}` })
    const text = h('span', { class: 'upload-text' }, 'waits')
    const stop = new AbortController()
    const actions = h('span', { class: 'row-actions' })
    const item = h('li', {}, h('span', { class: 'upload-name' }, file.name), bar, text, actions)
    const close = () => item.remove()
    const restart = () => {
      close()
      this.queue(file)
      this.next()
    }
    add(actions, button('Cancel', { class: 'quiet', 'aria-label': `Cancel the upload of ${file.name}` }, () => {
      stop.abort()
      close()
    }))
    add(this.list, item)
    this.waiting.push(async () => {
      if (stop.signal.aborted) return
      try {
        const id = await upload(file.name, file, {
          signal: stop.signal,
          progress: (sent, total) => {
            bar.value = sent / total
            setText(text, `${wholePercent(sent / total)} of ${bytes(total)}`)
          },
          waiting: (reason) => setText(text, `${reason} The upload goes on by itself.`)
        })
        const job = await postJson<Job>('/api/v1/jobs', { upload: id }, { 'idempotency-key': id })
        close()
        announce(`${file.name} is uploaded.`)
        this.created(job)
      } catch (error) {
        if (stop.signal.aborted) return
        item.classList.add('is-failed')
        bar.remove()
        setText(text, explain(error))
        announce(`The upload of ${file.name} failed. ${explain(error)}`)
        actions.replaceChildren()
        add(actions, button('Try again', { class: 'quiet' }, restart), button('Remove', { class: 'quiet' }, close))
      }
    })
  }

  private next(): void {
    while (this.active < PARALLEL) {
      const task = this.waiting.shift()
      if (!task) return
      this.active += 1
      void task().finally(() => {
        this.active -= 1
        this.next()
      })
    }
  }
}
