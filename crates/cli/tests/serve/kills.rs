//! The server is killed while it takes scans in, analyses and writes.

use crate::support::*;
use multirnet_base::random::Random;
use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// How often the server is killed; `MULTIRNET_KILLS` changes it.
const KILLS: u32 = 6;
/// Most milliseconds after which it is killed.
const LONGEST_MS: usize = 5000;
/// The same for every other kill.
const SHORTEST_MS: usize = 150;

#[test]
fn a_killed_server_does_every_acknowledged_job_once() {
    let kills = std::env::var("MULTIRNET_KILLS").map_or(KILLS, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let arguments = ["--data", text(&data)];
    let mut random = Random::new(12, 0);
    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    let mut lost = 0;
    for round in 0..kills {
        let mut server = Served::start(&arguments);
        // Scans come in within the first tenths of a second, and are analysed in the seconds after.
        let longest = if round % 2 == 0 {
            SHORTEST_MS
        } else {
            LONGEST_MS
        };
        let wait = random.below(longest) as u64;
        std::thread::scope(|scope| {
            let process = &server;
            let sender = scope.spawn(move || {
                let keys = (0..4).map(|i| format!("scan-{round}-{i}"));
                let sent = keys.map_while(|key| Some((key.clone(), process.upload(&key)?)));
                sent.collect::<Vec<_>>()
            });
            std::thread::sleep(Duration::from_millis(wait));
            // Not through the handle, which the sender borrows.
            let id = process.id();
            std::process::Command::new("kill")
                .args(["-9", &id])
                .status()
                .unwrap();
            let sent = sender.join().unwrap();
            lost += 4 - sent.len();
            acknowledged.extend(sent);
        });
        server.kill();
    }
    let server = Served::start(&arguments);
    // A client that lost an answer sends again under the same key, and gets the same job if there was one.
    for round in 0..kills {
        for i in 0..4 {
            let key = format!("scan-{round}-{i}");
            let id = server.upload(&key).unwrap();
            if let Some(first) = acknowledged.get(&key) {
                assert_eq!(first, &id, "{key}");
            }
        }
    }
    let count = u64::from(kills) * 4;
    server.wait_until_done(count, PATIENCE + Duration::from_secs(4 * count));
    let list = server.get("/api/v1/jobs?limit=500");
    assert_eq!(list["total"].as_u64(), Some(count));
    for job in list["jobs"].as_array().unwrap() {
        let folder = data.join("jobs").join(job["id"].as_str().unwrap());
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["results", "scan"], "{job}");
        assert!(
            folder.join("results/summary.json").is_file()
                && folder.join("results/heatmap.nii.gz").is_file()
        );
        assert_eq!(job["share_involved"], list["jobs"][0]["share_involved"]);
    }
    assert_eq!(
        fs::read_dir(data.join("jobs")).unwrap().count() as u64,
        count
    );
    println!("killed {kills} times within {LONGEST_MS} ms; {lost} scans had no answer at first");
    assert_eq!(server.end(), Some(130));
}
