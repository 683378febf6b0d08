//! Results: as JSON, NIfTI, DICOM, PNG, PDF, and all together.

use super::app::App;
use super::description::Binary;
use super::guard::REPORT_POLICY;
use super::problem::{Params, Place, Problem, blocking};
use super::stream::body_of;
use crate::analysis::Rounded;
use crate::{Error, Result};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use multirnet_volume::Scalar;
use multirnet_volume::io::{nifti_bytes, stream_nifti};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::{Component, PathBuf};
use tokio_util::io::ReaderStream;
use utoipa::{IntoParams, ToSchema};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Bytes of a file that are read at a time.
const BUFFER: usize = 1 << 17;

/// Planned bytes a voxel while a scan is read and sent.
const BYTES_A_VOXEL: u64 = 8;

/// The files of a result.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResultFiles {
    /// The files.
    files: Vec<ResultFile>,
}

/// A file of a result.
#[derive(Serialize, ToSchema)]
pub(crate) struct ResultFile {
    /// Its name, with the folder that it lies in.
    name: String,
    /// Its size.
    bytes: u64,
    /// Its type.
    media_type: &'static str,
    /// What it holds.
    description: &'static str,
}

/// How a file is answered.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Download {
    /// With it, browsers save the file and do not show it.
    #[serde(default)]
    download: Option<String>,
}

/// The finding, as `predict` writes it.
#[utoipa::path(get, operation_id = "results_finding", path = "/api/v1/jobs/{id}/finding", tag = "results", params(("id" = String, Path)),
    responses((status = 200, body = Object)))]
pub(super) async fn finding(
    State(app): State<App>,
    Place(id): Place<String>,
) -> std::result::Result<Response, Problem> {
    answer_file(app, id, "finding.json".to_owned(), false).await
}

/// The single lesions, largest first.
#[utoipa::path(get, operation_id = "results_lesions", path = "/api/v1/jobs/{id}/lesions", tag = "results", params(("id" = String, Path)),
    responses((status = 200, body = Object)))]
pub(super) async fn lesions(
    State(app): State<App>,
    Place(id): Place<String>,
) -> std::result::Result<Response, Problem> {
    answer_file(app, id, "lesions.json".to_owned(), false).await
}

/// A small picture.
#[utoipa::path(get, operation_id = "results_thumbnail", path = "/api/v1/jobs/{id}/thumbnail", tag = "results", params(("id" = String, Path)),
    responses((status = 200, content_type = "image/png", body = Binary)))]
pub(super) async fn thumbnail(
    State(app): State<App>,
    Place(id): Place<String>,
) -> std::result::Result<Response, Problem> {
    answer_file(app, id, "thumbnail.png".to_owned(), false).await
}

/// The files of a result.
#[utoipa::path(get, operation_id = "results_files", path = "/api/v1/jobs/{id}/files", tag = "results", params(("id" = String, Path)),
    responses((status = 200, body = ResultFiles)))]
pub(super) async fn files(
    State(app): State<App>,
    Place(id): Place<String>,
) -> std::result::Result<Json<ResultFiles>, Problem> {
    blocking(move || {
        app.queue.done(&id)?;
        let list = list(&app, &id)?;
        let file = |(name, path): (String, PathBuf)| {
            let bytes = std::fs::metadata(&path).map(|m| m.len());
            let (media_type, description) = about(&name);
            Ok(ResultFile {
                bytes: bytes.map_err(|e| Error::io(&path, "read the file", e))?,
                name,
                media_type,
                description,
            })
        };
        Ok(Json(ResultFiles {
            files: list.into_iter().map(file).collect::<Result<_>>()?,
        }))
    })
    .await
}

/// A file of a result, whose name may hold folders.
#[utoipa::path(get, operation_id = "results_file", path = "/api/v1/jobs/{id}/files/{*name}", tag = "results",
    params(("id" = String, Path), ("name" = String, Path), Download),
    responses((status = 200, content_type = "application/octet-stream", body = Binary)))]
pub(super) async fn file(
    State(app): State<App>,
    Place((id, name)): Place<(String, String)>,
    Params(query): Params<Download>,
) -> std::result::Result<Response, Problem> {
    answer_file(app, id, name, query.download.is_some()).await
}

/// The scan at full resolution, as NIfTI with whole HU, on the grid of the maps.
#[utoipa::path(get, operation_id = "results_ct", path = "/api/v1/jobs/{id}/ct.nii", tag = "results", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/octet-stream", body = Binary)))]
pub(super) async fn ct(
    State(app): State<App>,
    Place(id): Place<String>,
) -> std::result::Result<Response, Problem> {
    let (scan, admission) = blocking(move || {
        app.queue.done(&id)?;
        let voxels = app.queue.finding(&id)?.geometry.len() as u64;
        app.queue.read_scan(&id, voxels * BYTES_A_VOXEL)
    })
    .await?;
    let bytes = nifti_bytes(scan.volume.geometry(), Scalar::I16);
    let body = body_of(move |mut out| {
        // The memory counts until the last byte is sent.
        let _admission = admission;
        stream_nifti(&mut out, &Rounded(&scan.volume)).map_err(std::io::Error::other)
    });
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    Ok((headers, body).into_response())
}

/// All files of a result and all versions of readers, as a zip.
#[utoipa::path(get, operation_id = "results_archive", path = "/api/v1/jobs/{id}/results.zip", tag = "results", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/zip", body = Binary)))]
pub(super) async fn archive(
    State(app): State<App>,
    Place(id): Place<String>,
) -> std::result::Result<Response, Problem> {
    let (name, files) = blocking(move || {
        let job = app.queue.done(&id)?;
        let mut files = list(&app, &id)?;
        for correction in app.queue.database.corrections_of(&id)? {
            let folder = app.queue.data.version(&id, correction.version);
            let prefix = format!("versions/{}/", correction.version);
            let mut own = Vec::new();
            walk(&folder, "", &mut own)?;
            files.extend(
                own.into_iter()
                    .map(|(name, path)| (format!("{prefix}{name}"), path)),
            );
        }
        Ok((job.name, files))
    })
    .await?;
    let body = body_of(move |out| {
        let mut zip = ZipWriter::new_stream(out);
        // The large files are packed already.
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(true);
        for (name, path) in files {
            zip.start_file(name, options)?;
            std::io::copy(&mut File::open(path)?, &mut zip)?;
        }
        zip.finish()?.into_inner().flush()
    });
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/zip"),
    );
    attach(&mut headers, &format!("{name}.zip"));
    Ok((headers, body).into_response())
}

/// Tells browsers to save the answer under `name`.
pub(super) fn attach(headers: &mut HeaderMap, name: &str) {
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || "._- ".contains(c) {
                c
            } else {
                '_'
            }
        })
        .collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{plain}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
}

/// The path of the file `name` of a result.
fn place(app: &App, id: &str, name: &str) -> Result<PathBuf> {
    let relative = PathBuf::from(name);
    let is_plain = |c: Component<'_>| match c {
        Component::Normal(part) => !part.to_string_lossy().starts_with('.'),
        _ => false,
    };
    if name.contains('\\') || !relative.components().all(is_plain) {
        return Err(Error::not_found("file"));
    }
    let path = app.queue.data.results(id).join(relative);
    match path.is_file() && !path.is_symlink() {
        true => Ok(path),
        false => Err(Error::not_found("file")),
    }
}

async fn answer_file(
    app: App,
    id: String,
    name: String,
    is_download: bool,
) -> std::result::Result<Response, Problem> {
    let wanted = name.clone();
    let path = blocking(move || {
        app.queue.done(&id)?;
        place(&app, &id, &wanted)
    })
    .await?;
    send_file(path, &name, is_download).await
}

/// Sends a file as it lies on the disk.
pub(super) async fn send_file(
    path: PathBuf,
    name: &str,
    is_download: bool,
) -> std::result::Result<Response, Problem> {
    let opened = tokio::fs::File::open(&path).await;
    let file = opened.map_err(|_| Problem::from(Error::not_found("file")))?;
    let bytes = file.metadata().await.map(|m| m.len());
    let bytes = bytes.map_err(|e| Problem::from(Error::io(&path, "read the file", e)))?;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static(about(name).0),
    );
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    if name == "report.html" {
        let policy = HeaderValue::from_static(REPORT_POLICY);
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    if is_download {
        attach(&mut headers, name.rsplit('/').next().unwrap_or(name));
    }
    let body = Body::from_stream(ReaderStream::with_capacity(file, BUFFER));
    Ok((headers, body).into_response())
}

fn list(app: &App, id: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut files = Vec::new();
    walk(&app.queue.data.results(id), "", &mut files)?;
    files.retain(|(name, _)| name != crate::analyser::SUMMARY);
    Ok(files)
}

/// The files below `folder`, named from it, in the order of their names.
fn walk(folder: &std::path::Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> Result<()> {
    let io = |e| Error::io(folder, "read the folder", e);
    let entries = std::fs::read_dir(folder).map_err(io)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|e| e.map(|e| e.path()))
        .collect::<std::io::Result<_>>()
        .map_err(io)?;
    paths.sort();
    for path in paths {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match path.is_dir() {
            true => walk(&path, &format!("{prefix}{name}/"), files)?,
            false => files.push((format!("{prefix}{name}"), path)),
        }
    }
    Ok(())
}

/// Type and content of a file.
fn about(name: &str) -> (&'static str, &'static str) {
    let packed = "application/gzip";
    match name {
        "finding.json" => ("application/json", "The finding"),
        "lesions.json" => ("application/json", "The single lesions, largest first"),
        "lungs.nii.gz" => (packed, "Lungs: 1 right, 2 left"),
        "lesions.nii.gz" => (packed, "Lesions: 1, or 1 ground glass and 2 consolidation"),
        "probability.nii.gz" => (packed, "Probability of a lesion, 0 to 1"),
        "heatmap.nii.gz" => (packed, "Class activation, 0 to 1"),
        "overview.png" => ("image/png", "Overview picture"),
        "thumbnail.png" => ("image/png", "Small picture"),
        "report.html" => ("text/html; charset=utf-8", "Report as a page"),
        "report.pdf" => ("application/pdf", "Report on one page"),
        "dicom/segmentation.dcm" => ("application/dicom", "DICOM segmentation"),
        "dicom/measurements.dcm" => ("application/dicom", "DICOM structured report"),
        "dicom/overview.dcm" => ("application/dicom", "Overview picture as secondary capture"),
        "dicom/report.dcm" => ("application/dicom", "Report as encapsulated PDF"),
        _ if name.starts_with("preview/") => (packed, "Small volume for the viewer"),
        _ if name.ends_with(".dcm") => ("application/dicom", "DICOM object"),
        _ if name.ends_with(".nii.gz") => (packed, "Volume"),
        _ => ("application/octet-stream", "File"),
    }
}
