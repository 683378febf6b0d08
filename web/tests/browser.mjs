import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

// Slow machines render WebGL on the processor.
export const PATIENCE_MS = 90_000

function needed(name) {
  const value = process.env[name]
  if (!value) throw new Error(`the environment variable ${name} is not set (see web/README.md)`)
  return value
}

/** The link with the token, its origin, and the files the tests use. */
export const config = {
  link: needed('MULTIRNET_URL'),
  origin: new URL(needed('MULTIRNET_URL')).origin,
  phantom: needed('PHANTOM'),
  artefacts: process.env.ARTEFACTS ?? 'artefacts',
  restart: process.env.RESTART ?? ''
}

/** A scan's name in the work list: its file's name without the ending. */
export const scanName = (file) => file.replace(/(\.nii|\.nii\.gz|\.nrrd|\.mha|\.zip|\.dcm)$/i, '')

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader', '--ignore-gpu-blocklist']
  })
}

/** A page that records everything that a page must not do. */
export async function openPage(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const faults = []
  let isTolerant = false
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !isTolerant && !isDriverMessage(message.text())) faults.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => faults.push(`exception: ${error.stack ?? error.message}`))
  page.on('request', (request) => {
    const url = new URL(request.url())
    const isOwn = url.origin === config.origin || url.protocol === 'blob:' || url.protocol === 'data:'
    if (!isOwn) faults.push(`request to another host: ${request.url()}`)
  })
  await page.addInitScript(() => {
    window.addEventListener('securitypolicyviolation', (event) => {
      console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`)
    })
  })
  await page.goto(config.link)
  const tolerate = async (action) => {
    isTolerant = true
    try {
      return await action()
    } finally {
      isTolerant = false
    }
  }
  return { page, context, faults, tolerate }
}

// Chromium warns of slow reads of WebGL pictures, which screenshots cause.
function isDriverMessage(text) {
  return /GPU stall|GL Driver Message|software WebGL|WebGL.*(deprecated|fallback)/i.test(text)
}

export async function keepScreenshot(page, name) {
  mkdirSync(config.artefacts, { recursive: true })
  await page.screenshot({ path: join(config.artefacts, `${name}.png`) }).catch(() => {})
}

/** Runs a test's body; keeps a screenshot if it fails. */
export async function withScreenshot(page, name, body) {
  try {
    await body()
  } catch (error) {
    await keepScreenshot(page, name)
    throw error
  }
}

/** Goes to a scan and waits for its first picture and its panels. */
export async function openScan(page, id) {
  await page.goto(`${config.origin}/scan/${id}`)
  await page.waitForFunction(() => document.documentElement.dataset.firstPicture === '1', null, { timeout: PATIENCE_MS })
  await page.getByTestId('lesion-row').first().waitFor()
}

/** A job of the list that is done, by its name. */
export async function jobId(page, name) {
  const answer = await page.request.get(`${config.origin}/api/v1/jobs?q=${encodeURIComponent(name)}&limit=50`)
  const { jobs } = await answer.json()
  return jobs.find((j) => j.name.includes(name) && j.state === 'done')?.id
}

export function readBytes(path) {
  return readFileSync(path)
}
