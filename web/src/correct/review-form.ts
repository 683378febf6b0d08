import { add, button, h, labelled, on, select, setText } from '../core/dom'
import { className, DIAGNOSES } from '../core/format'
import type { Diagnosis } from '../core/types'

const REVIEWER_KEY = 'multirnet.reviewer'
const REASONS = ['missed lesion', 'false lesion', 'border', 'wrong kind', 'wrong class', 'other'] as const

export interface FormActions {
  confirm: () => void
  correct: () => void
  save: () => void
  discard: () => void
}

/** Who reviews, why, and which class is right. */
export class ReviewForm {
  readonly confirmButton: HTMLButtonElement
  readonly correctButton: HTMLButtonElement
  readonly saveButton: HTMLButtonElement
  readonly discardButton: HTMLButtonElement
  readonly who: HTMLElement
  readonly what: HTMLElement
  private readonly reviewerInput: HTMLInputElement
  private readonly reasonSelect: HTMLSelectElement
  private readonly detail: HTMLInputElement
  private readonly classSelect: HTMLSelectElement
  private readonly status = h('p', { class: 'status', role: 'status' })

  constructor(
    user: string | null,
    diagnosis: Diagnosis,
    actions: FormActions,
    changed: () => void
  ) {
    const remembered = localStorage.getItem(REVIEWER_KEY) ?? ''
    this.reviewerInput = h('input', { type: 'text', value: user ?? remembered, readonly: user !== null, autocomplete: 'name', maxlength: 80, 'data-testid': 'reviewer' })
    on(this.reviewerInput, { change: () => localStorage.setItem(REVIEWER_KEY, this.reviewerInput.value.trim()) })
    const reasons: [string, string][] = [['', 'Choose a reason'], ...REASONS.map((r): [string, string] => [r, r])]
    this.reasonSelect = select({ 'data-testid': 'reason' }, reasons, '')
    this.detail = h('input', { type: 'text', maxlength: 300, placeholder: 'Optional', 'data-testid': 'reason-detail' })
    const classes: [string, string][] = [['', `unchanged (${className(diagnosis)})`], ...DIAGNOSES.filter((d) => d !== diagnosis).map((d): [string, string] => [d, className(d)])]
    this.classSelect = on(select({ 'data-testid': 'class-select' }, classes, ''), { change: changed })
    this.confirmButton = button("I confirm the model's result", { class: 'primary', 'data-testid': 'confirm' }, actions.confirm)
    this.correctButton = button('Correct lesions or class', { 'data-testid': 'correct' }, actions.correct)
    this.saveButton = button('Save correction', { class: 'primary', 'data-testid': 'save' }, actions.save)
    this.discardButton = button('Leave correction', { class: 'quiet', 'data-testid': 'discard' }, actions.discard)
    this.who = labelled('Reviewer', this.reviewerInput)
    this.what = h('div', { class: 'correction-form' })
    add(
      this.what,
      labelled('Class', this.classSelect),
      labelled('Reason', this.reasonSelect),
      labelled('Details', this.detail),
      h('div', { class: 'row-actions' }, this.saveButton, this.discardButton)
    )
  }

  get statusLine(): HTMLElement {
    return this.status
  }

  say(text: string, isError = false): void {
    setText(this.status, text)
    this.status.classList.toggle('is-error', isError)
  }

  /** The reviewer's name, or null with a request for it on the screen. */
  reviewer(): string | null {
    const name = this.reviewerInput.value.trim()
    if (name) {
      if (!this.reviewerInput.readOnly) localStorage.setItem(REVIEWER_KEY, name)
      return name
    }
    this.say('Enter your name as the reviewer.', true)
    this.reviewerInput.focus()
    return null
  }

  /** The reason as one text, or null with a request for it on the screen. */
  reason(): string | null {
    const kind = this.reasonSelect.value
    const detail = this.detail.value.trim()
    if (!kind || (kind === 'other' && !detail)) {
      this.say(kind ? 'Write the reason as details.' : 'Choose a reason.', true)
      ;(kind ? this.detail : this.reasonSelect).focus()
      return null
    }
    return detail ? `${kind}: ${detail}` : kind
  }

  get diagnosis(): Diagnosis | null {
    return (this.classSelect.value || null) as Diagnosis | null
  }

  clear(): void {
    this.classSelect.value = ''
    this.reasonSelect.value = ''
    this.detail.value = ''
  }

  setBusy(isBusy: boolean): void {
    for (const b of [this.saveButton, this.confirmButton, this.correctButton, this.discardButton]) b.disabled = isBusy
  }
}
