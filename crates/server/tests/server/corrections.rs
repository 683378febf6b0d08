//! Versions of readers.

use crate::support::*;
use multirnet_server::export_cohort;
use multirnet_volume::{Volume, io};
use serde_json::{Value, json};
use std::path::Path;

/// The model's map of a job, with a function to send a changed one.
fn model_map(server: &Running, folder: &Path, id: &str) -> Volume<u8> {
    let path = folder.join("model.nii.gz");
    let bytes = server
        .get(&format!("/api/v1/jobs/{id}/files/lesions.nii.gz"))
        .body;
    std::fs::write(&path, bytes).unwrap();
    io::read_labels(&path).unwrap()
}

fn packed(folder: &Path, map: &Volume<u8>) -> Vec<u8> {
    let path = folder.join("changed.nii.gz");
    io::write_nifti(&path, map).unwrap();
    std::fs::read(&path).unwrap()
}

fn correct(server: &Running, id: &str, body: &Value) -> Answer {
    server.post(&format!("/api/v1/jobs/{id}/corrections"), body)
}

#[test]
fn a_correction_is_a_version_beside_the_models_result() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(&dir.path().join("data"));
    let id = server.analysed_scan();
    let model = model_map(&server, dir.path(), &id);
    let voxels = model.data().iter().filter(|v| **v != 0).count();
    assert!(voxels > 100, "the phantom has lesions");
    // All lesions go, and a block in the lung comes.
    let lungs = {
        let path = dir.path().join("lungs.nii.gz");
        std::fs::write(
            &path,
            server
                .get(&format!("/api/v1/jobs/{id}/files/lungs.nii.gz"))
                .body,
        )
        .unwrap();
        io::read_labels(&path).unwrap()
    };
    let [_, ny, nx] = lungs.shape();
    let first = (0..lungs.data().len())
        .find(|&i| {
            let is_free = |k: usize| lungs.data()[k] != 0 && model.data()[k] == 0;
            [i, i + 1, i + nx, i + ny * nx]
                .iter()
                .all(|k| *k < lungs.data().len() && is_free(*k))
        })
        .unwrap();
    let mut changed = model.map(|_| 0);
    for k in [first, first + 1, first + nx, first + ny * nx] {
        changed.data_mut()[k] = 1;
    }
    let upload = server.upload_file("lesions.nii.gz", &packed(dir.path(), &changed));
    let saved = correct(
        &server,
        &id,
        &json!({
            "reviewer": "Dr. A", "reason": "false lesion", "verdict": "corrected", "diagnosis": "normal",
            "upload": upload,
        }),
    );
    assert_eq!(saved.status, 201, "{}", saved.text());
    let saved = saved.json();
    let ml = model.geometry().voxel_mm3() / 1000.0;
    let near = |v: &Value, want: f64| (v.as_f64().unwrap() - want).abs() < 1e-6;
    assert_eq!(
        (&saved["version"], &saved["has_mask"]),
        (&json!(1), &json!(true))
    );
    assert!(
        near(&saved["changes"]["removed_ml"], voxels as f64 * ml),
        "{saved}"
    );
    assert!(near(&saved["changes"]["added_ml"], 4.0 * ml), "{saved}");
    assert_eq!(
        (
            &saved["changes"]["lesions_added"],
            &saved["changes"]["dice_with_model"]
        ),
        (&json!(1), &json!(0.0))
    );
    assert!(near(&saved["lesion_ml"], 4.0 * ml), "{saved}");

    // The model's result is as it was, and the version is what was sent.
    assert_eq!(model_map(&server, dir.path(), &id), model);
    let version = server.get(&format!("/api/v1/jobs/{id}/corrections/1/lesions.nii.gz"));
    let path = dir.path().join("version.nii.gz");
    std::fs::write(&path, &version.body).unwrap();
    assert_eq!(io::read_labels(&path).unwrap().data(), changed.data());
    assert_eq!(
        server
            .get(&format!("/api/v1/jobs/{id}/corrections/1/segmentation.dcm"))
            .status,
        404
    );
    assert_eq!(
        server
            .get(&format!("/api/v1/jobs/{id}/corrections/2/lesions.nii.gz"))
            .status,
        404
    );
    let job = server.job(&id);
    assert_eq!(
        (&job["corrections"], &job["reviewed"]),
        (&json!(1), &json!("corrected"))
    );
    // The upload is used up.
    assert_eq!(server.get(&format!("/api/v1/uploads/{upload}")).status, 404);

    let model_class = job["diagnosis"].as_str().unwrap().to_owned();
    let summary = server.get("/api/v1/corrections/summary").json();
    assert_eq!(
        (
            &summary["reviewed"],
            &summary["corrected"],
            &summary["lesions_added"]
        ),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(
        summary["reasons"][0],
        json!({ "reason": "false lesion", "count": 1 })
    );
    assert_eq!(summary["by_model"][0]["mean_dice"], 0.0);
    if model_class != "normal" {
        assert_eq!(
            summary["class_changes"][0],
            json!({ "from": model_class, "to": "normal", "count": 1 })
        );
    }
    // Versions outlast a restart, and the latest one counts.
    server.end().unwrap();
    let server = Running::start(&dir.path().join("data"));
    let confirmed = correct(
        &server,
        &id,
        &json!({ "reviewer": "B", "verdict": "confirmed" }),
    );
    assert_eq!(confirmed.json()["version"], 2);
    let versions = server.get(&format!("/api/v1/jobs/{id}/corrections")).json();
    assert_eq!(versions["corrections"].as_array().unwrap().len(), 2);
    let summary = server.get("/api/v1/corrections/summary").json();
    assert_eq!(
        (
            &summary["confirmed"],
            &summary["corrected"],
            &summary["lesions_added"]
        ),
        (&json!(1), &json!(0), &json!(0))
    );
    let all = server.get("/api/v1/corrections?limit=1").json();
    assert_eq!(
        (
            &all["total"],
            &all["corrections"][0]["correction"]["version"]
        ),
        (&json!(2), &json!(2))
    );
    assert_eq!(all["corrections"][0]["job"]["id"], json!(id));
}

#[test]
fn a_correction_that_does_not_fit_is_refused_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Running::start(&data);
    let id = server.analysed_scan();
    let model = model_map(&server, dir.path(), &id);
    let small = model.crop([0, 0, 0], [4, 8, 8]).unwrap();
    let finding = server.get(&format!("/api/v1/jobs/{id}/finding")).json();
    let has_kinds = finding["lesion_kinds"]
        .as_array()
        .is_some_and(|k| !k.is_empty());
    let wrong_label = model.map(move |v| {
        if v != 0 {
            if has_kinds { 3 } else { 2 }
        } else {
            0
        }
    });
    let uploads = [
        (
            "another grid",
            packed(dir.path(), &small),
            "not on the scan's grid",
        ),
        (
            "a wrong label",
            packed(dir.path(), &wrong_label),
            "the map has the label",
        ),
        ("nonsense", b"nonsense".to_vec(), "cannot be read"),
    ];
    for (what, bytes, reason) in uploads {
        let upload = server.upload_file("lesions.nii.gz", &bytes);
        let body = json!({ "reviewer": "A", "verdict": "corrected", "upload": upload });
        let answer = correct(&server, &id, &body);
        assert_eq!(answer.status, 400, "{what}: {}", answer.text());
        assert!(
            answer.reason().contains(reason),
            "{what}: {}",
            answer.reason()
        );
        assert!(
            !answer.text().contains(&*data.to_string_lossy()),
            "{}",
            answer.text()
        );
    }
    for (body, status) in [
        (json!({ "reviewer": "", "verdict": "confirmed" }), 400),
        (json!({ "reviewer": "A", "verdict": "corrected" }), 400),
        (
            json!({ "reviewer": "A", "verdict": "confirmed", "diagnosis": "cap" }),
            400,
        ),
        (json!({ "reviewer": "A", "verdict": "perhaps" }), 422),
        (
            json!({ "reviewer": "A", "verdict": "corrected", "diagnosis": "flu" }),
            422,
        ),
        (
            json!({ "reviewer": "A".repeat(500), "verdict": "confirmed" }),
            400,
        ),
        (
            json!({ "reviewer": "A", "verdict": "corrected", "upload": "nobody" }),
            404,
        ),
    ] {
        let answer = correct(&server, &id, &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    assert_eq!(
        correct(
            &server,
            "nobody",
            &json!({ "reviewer": "A", "verdict": "confirmed" })
        )
        .status,
        404
    );
    assert_eq!(server.job(&id)["corrections"], 0);
    let versions = data.join("jobs").join(&id).join("versions");
    let left = std::fs::read_dir(&versions).map_or(0, |entries| entries.count());
    assert_eq!(left, 0);
}

#[test]
fn reviewed_scans_become_a_cohort() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Running::start(&data);
    let out = dir.path().join("nothing");
    let ids: Vec<String> = (0..3).map(|_| server.analysed_scan()).collect();
    assert!(
        export_cohort(&data, &out)
            .unwrap_err()
            .to_string()
            .contains("no result was confirmed")
    );
    let model = model_map(&server, dir.path(), &ids[0]);
    let empty = packed(dir.path(), &model.map(|_| 0));
    let upload = server.upload_file("lesions.nii.gz", &empty);
    let body = json!({ "reviewer": "A", "verdict": "corrected", "upload": upload });
    assert_eq!(correct(&server, &ids[0], &body).status, 201);
    assert_eq!(
        correct(
            &server,
            &ids[1],
            &json!({ "reviewer": "A", "verdict": "confirmed" })
        )
        .status,
        201
    );
    let body = json!({ "reviewer": "A", "verdict": "corrected", "diagnosis": "cap" });
    assert_eq!(correct(&server, &ids[2], &body).status, 201);
    // The server runs meanwhile.
    let out = dir.path().join("cohort");
    let exported = export_cohort(&data, &out).unwrap();
    assert_eq!((exported.confirmed, exported.corrected), (1, 2));
    let manifest = std::fs::read_to_string(out.join("cohort.csv")).unwrap();
    let class = server.job(&ids[1])["diagnosis"]
        .as_str()
        .unwrap()
        .to_owned();
    let line = |id: &str| {
        let start = format!("scans/{id}.nii.gz,");
        manifest
            .lines()
            .find(|l| l.starts_with(&start))
            .unwrap_or_else(|| panic!("{manifest}"))
            .to_owned()
    };
    assert!(
        line(&ids[0]).contains(&format!(",masks/{}.nii.gz,unknown,", ids[0])),
        "{manifest}"
    );
    assert!(
        line(&ids[1]).contains(&format!(",masks/{}.nii.gz,{class},", ids[1])),
        "{manifest}"
    );
    assert!(line(&ids[2]).contains(",unknown,cap,"), "{manifest}");
    let exported_map = io::read_labels(&out.join(format!("masks/{}.nii.gz", ids[0]))).unwrap();
    assert!(exported_map.data().iter().all(|v| *v == 0));
    let confirmed = io::read_labels(&out.join(format!("masks/{}.nii.gz", ids[1]))).unwrap();
    assert_eq!(confirmed.data(), model.data());
    // Deleting a job takes nothing away from the cohort.
    assert_eq!(
        server.delete(&format!("/api/v1/jobs/{}", ids[1])).status,
        204
    );
    assert_eq!(
        std::fs::read(out.join(format!("scans/{}.nii.gz", ids[1]))).unwrap(),
        scan_bytes()
    );
    assert!(
        export_cohort(&data, &out)
            .unwrap_err()
            .to_string()
            .contains("manifest already")
    );
    assert!(
        export_cohort(dir.path(), &out.join("x"))
            .unwrap_err()
            .to_string()
            .contains("no server's database")
    );
}
