import type { Diagnosis, JobState, Lesion } from './types'

const CLASS_NAMES: Record<Diagnosis, string> = { normal: 'normal', cap: 'CAP', covid19: 'COVID-19' }
const STATE_NAMES: Record<JobState, string> = {
  queued: 'Waiting',
  running: 'Running',
  done: 'Done',
  failed: 'Failed',
  cancelled: 'Cancelled'
}
const ZONES = ['right upper', 'right middle', 'right lower', 'left upper', 'left middle', 'left lower']
const STAGES: Record<string, string> = {
  read: 'reads the scan',
  hash: 'reads the scan',
  lungs: 'segments the lungs',
  prepare: 'prepares the scan',
  global: 'analyses the scan',
  windows: 'analyses the scan',
  explain: 'computes the heat map',
  restore: 'restores the grid',
  measure: 'measures the lesions'
}

export const DIAGNOSES: readonly Diagnosis[] = ['covid19', 'cap', 'normal']
export const className = (d: Diagnosis): string => CLASS_NAMES[d]
export const stateName = (s: JobState): string => STATE_NAMES[s]
export const zoneName = (zone: number | null): string => (zone === null ? '–' : (ZONES[zone - 1] ?? '–'))
export const stageName = (stage: string): string => STAGES[stage] ?? stage

export function kindName(kind: Lesion['kind']): string {
  return kind === 'ground_glass' ? 'ground glass' : kind
}

/** A share as a percentage. Small shares keep a digit that tells them from 0. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined) return '–'
  const p = share * 100
  if (p > 0 && p < 0.1) return '< 0.1 %'
  return `${p.toFixed(p === 0 || p >= 99.95 ? 0 : 1)} %`
}

export function wholePercent(share: number): string {
  return `${Math.round(share * 100)} %`
}

export function ml(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  return `${value >= 100 ? value.toFixed(0) : value.toFixed(1)} ml`
}

export function signed(value: number, digits: number, unit: string): string {
  const text = Math.abs(value).toFixed(digits)
  const sign = Number(text) === 0 ? '±' : value > 0 ? '+' : '−'
  return `${sign}${text} ${unit}`
}

export function number(value: number, digits = 0): string {
  return value.toFixed(digits).replace(/^-/, '−')
}

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`
  if (n < 1e6) return `${(n / 1e3).toFixed(0)} kB`
  if (n < 1e9) return `${(n / 1e6).toFixed(1)} MB`
  return `${(n / 1e9).toFixed(2)} GB`
}

/** A time as `2026-04-11 14:05`, which every reader understands in one way. */
export function time(ms: number): string {
  const d = new Date(ms)
  const two = (n: number) => String(n).padStart(2, '0')
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}`
}

export function studyDate(text: string | null): string {
  return text && /^\d{8}$/.test(text) ? `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}` : (text ?? '–')
}

export function seconds(s: number): string {
  return s < 60 ? `${s.toFixed(1)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}
