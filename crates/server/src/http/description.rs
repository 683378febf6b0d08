//! The OpenAPI description: what the handlers say of themselves, with every status that can come.
//!
//! A handler names what it gives when all is well. The problems are added here, in one table, so that
//! none is forgotten: a program that tries the interface against its description fails on any other.

use utoipa::ToSchema;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{
    ContentBuilder, HeaderBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
};

/// The bytes of a file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(super) struct Binary(#[allow(dead_code, reason = "only its description is used")] Vec<u8>);

/// Statuses that every operation can have: a request that is misshapen, or a fault of the server.
const ALWAYS: [u16; 3] = [400, 500, 503];
/// Those of operations that need a person.
const GUARDED: [u16; 3] = [401, 403, 429];

/// Further statuses by the operation's name.
fn further(operation: &str) -> &'static [u16] {
    match operation {
        "jobs_create" => &[404, 409, 413, 415, 422, 507],
        "jobs_upload" => &[409, 411, 413, 507],
        "jobs_get" | "jobs_previous" | "events_of_job" | "uploads_get" | "corrections_list" => {
            &[404]
        }
        "jobs_delete" | "jobs_cancel" | "jobs_retry" => &[404, 409],
        "jobs_set_priority" => &[404, 413, 415, 422],
        "uploads_begin" => &[413, 415, 422, 507],
        "uploads_append" => &[404, 413, 507],
        "uploads_delete" | "corrections_file" => &[404],
        "corrections_create" => &[404, 409, 413, 415, 422, 507],
        "stow_store" | "stow_store_study" => &[507],
        name if name.starts_with("results_") => &[404, 409],
        _ => &[],
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        400 => "The request is wrong",
        401 => "The token is missing or wrong",
        403 => "A path that is not allowed, or a request from another site's page",
        404 => "There is no such thing",
        409 => "The present state does not allow it",
        411 => "The request does not say how long its body is",
        413 => "The body is too large",
        415 => "The body is not JSON",
        422 => "The JSON does not have the fields that are wanted",
        429 => "Too many wrong tokens came from this address",
        503 => "A limit is reached, or the server ends",
        507 => "The disk refuses",
        _ => "The server has a fault; its log says more",
    }
}

/// The types that a file of a result or of a version may have, besides the one that its handler names.
const FILE_TYPES: [&str; 6] = [
    "application/dicom",
    "application/gzip",
    "application/json",
    "application/pdf",
    "image/png",
    "text/html",
];

/// Adds the types of files to the answer of an operation that sends any of them.
fn add_file_types(operation: &mut Operation) {
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200") {
        for name in FILE_TYPES {
            let any = ContentBuilder::new().build();
            response.content.insert(name.to_owned(), RefOr::T(any));
        }
    }
}

/// Adds what the handlers do not say themselves.
pub(super) fn complete(description: &mut OpenApi) {
    let paths = std::mem::take(&mut description.paths.paths);
    for (path, mut item) in paths {
        for operation in operations(&mut item) {
            add_problems(operation);
        }
        // The router's sign for the rest of a path has no meaning in OpenAPI.
        description
            .paths
            .paths
            .insert(path.replace("{*", "{"), item);
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ];
    all.into_iter().flatten()
}

fn add_problems(operation: &mut Operation) {
    let name = operation.operation_id.clone().unwrap_or_default();
    if matches!(name.as_str(), "results_file" | "corrections_file") {
        add_file_types(operation);
    }
    let is_open = operation.security.is_some();
    let guarded = if is_open { &[][..] } else { &GUARDED[..] };
    let statuses = ALWAYS.iter().chain(guarded).chain(further(&name));
    for status in statuses {
        let all = &mut operation.responses.responses;
        all.entry(status.to_string())
            .or_insert_with(|| RefOr::T(problem(*status)));
    }
}

fn problem(status: u16) -> Response {
    let schema = Ref::from_schema_name("Problem");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let mut response = ResponseBuilder::new()
        .description(reason(status))
        .content("application/json", content);
    if matches!(status, 429 | 503) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer);
        let header = HeaderBuilder::new()
            .schema(Some(seconds))
            .description(Some("Seconds after which to try again"))
            .build();
        response = response.header("Retry-After", header);
    }
    response.build()
}
