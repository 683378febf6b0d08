import type { Job } from './types'

// A page of the list and some events. Older scans are asked for again.
const MOST = 200
const jobs = new Map<string, Job>()

/** Keeps what the list knows of a scan, so that its page opens without asking first. */
export function rememberJob(job: Job): void {
  jobs.delete(job.id)
  jobs.set(job.id, job)
  const oldest = jobs.size > MOST ? jobs.keys().next().value : undefined
  if (oldest !== undefined) jobs.delete(oldest)
}

export function recallJob(id: string): Job | null {
  return jobs.get(id) ?? null
}

export function forgetJob(id: string): void {
  jobs.delete(id)
}
