// The parts of an OpenAPI 3.1 document that the page shows.

export interface Schema {
  $ref?: string
  type?: string | string[]
  title?: string
  description?: string
  enum?: unknown[]
  const?: unknown
  format?: string
  default?: unknown
  minimum?: number
  maximum?: number
  items?: Schema
  properties?: Record<string, Schema>
  required?: string[]
  oneOf?: Schema[]
  anyOf?: Schema[]
  allOf?: Schema[]
  additionalProperties?: boolean | Schema
}

interface Content {
  [mediaType: string]: { schema?: Schema }
}

export interface Parameter {
  $ref?: string
  name: string
  in: string
  required?: boolean
  description?: string
  schema?: Schema
}

export interface Operation {
  tags?: string[]
  summary?: string
  description?: string
  parameters?: Parameter[]
  requestBody?: { required?: boolean; description?: string; content?: Content }
  responses?: Record<string, { $ref?: string; description?: string; content?: Content }>
}

export interface OpenApi {
  info: { title: string; version: string; description?: string }
  paths: Record<string, Record<string, Operation | Parameter[] | string | undefined>>
  components?: {
    schemas?: Record<string, Schema>
    parameters?: Record<string, Parameter>
    responses?: Record<string, { description?: string; content?: Content }>
  }
}

/** A schema in a few words, such as `array of Job` or `string: normal, cap`. */
export function describeSchema(schema: Schema | undefined): string {
  if (!schema) return ''
  if (schema.$ref) return schema.$ref.split('/').at(-1) ?? ''
  for (const [list, word] of [
    [schema.oneOf, ' or '],
    [schema.anyOf, ' or '],
    [schema.allOf, ' and ']
  ] as const) {
    if (list) return list.map(describeSchema).join(word)
  }
  const types = Array.isArray(schema.type) ? schema.type : schema.type ? [schema.type] : []
  const named = types.map((t) => (t === 'array' ? `array of ${describeSchema(schema.items) || 'values'}` : t))
  let text = named.join(' or ') || (schema.properties ? 'object' : schema.enum ? '' : 'any value')
  if (schema.format) text += ` (${schema.format})`
  if (schema.enum) text += `${text ? ': ' : ''}${schema.enum.map((v) => String(v)).join(', ')}`
  if (schema.const !== undefined) text += `: ${String(schema.const)}`
  if (schema.minimum !== undefined || schema.maximum !== undefined) text += `, ${schema.minimum ?? '…'} to ${schema.maximum ?? '…'}`
  if (schema.default !== undefined) text += `, default ${JSON.stringify(schema.default)}`
  return text
}

export function follow<T extends { $ref?: string }>(document: OpenApi, item: T): T {
  if (!item.$ref) return item
  let found: unknown = document
  for (const part of item.$ref.replace(/^#\//, '').split('/')) found = (found as Record<string, unknown> | undefined)?.[part]
  return (found as T | undefined) ?? item
}
