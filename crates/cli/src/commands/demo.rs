//! `multirnet demo`: makes three synthetic scans and analyses them.

use crate::commands::serve::{analyser, serve};
use crate::context::Context;
use crate::failure::Outcome;
use crate::model::ModelArguments;
use crate::output;
use crate::phantoms::make;
use crate::predicting::{Row, Run, analyse, spinner, table};
use multirnet::{HeatmapGrid, Scan, write_results};
use multirnet_base::{StagedFolder, files};
use multirnet_finding::NOTICE;
use multirnet_metrics::Overlap;
use multirnet_report::{Entry, index_page};
use multirnet_server::config::{DEFAULT_ADDRESS, ServerConfig};
use multirnet_study::scan_seed;
use multirnet_volume::{Diagnosis, io};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Seed of the demo's phantoms: a cohort that no model of this project is trained on.
const DEMO_COHORT: u64 = 0xDE30;

/// Make three synthetic scans, analyse them with a model, and write pages and pictures
#[derive(clap::Args)]
#[command(after_help = "Example:\n  multirnet demo\n  multirnet demo -o somewhere --matrix 512")]
pub struct Demo {
    /// Folder for the results
    #[arg(short, long, value_name = "OUT", default_value = "out/demo")]
    out: PathBuf,

    /// Voxels of the phantoms along x and y
    #[arg(long, default_value_t = 384, value_parser = clap::value_parser!(u16).range(128..=512))]
    matrix: u16,

    /// Analyse the phantoms in a server, and print a link that opens its viewer
    #[arg(long)]
    pub serve: bool,

    /// Address and port of the server
    #[arg(long, value_name = "ADDRESS", requires = "serve", default_value_t = DEFAULT_ADDRESS)]
    listen: SocketAddr,

    #[command(flatten)]
    model: ModelArguments,
}

impl Demo {
    /// Runs the command.
    pub fn run(self, context: Context) -> Outcome {
        if self.serve {
            return self.serve(&context);
        }
        output::say(NOTICE);
        let run = Run {
            context: &context,
            stop: crate::stop::ending()?,
        };
        StagedFolder::check(&self.out)?;
        let predictor = self.model.load()?;
        let card = predictor.card();
        output::say(&format!(
            "The three scans are synthetic phantoms. Model {}: {}",
            card.name, card.trained_on
        ));
        let options = predictor.options();
        let (mut rows, mut entries) = (vec![], vec![]);
        for class in Diagnosis::ALL {
            let name = format!("phantom-{}", class.name());
            let bar = spinner(&name);
            bar.set_message("making the phantom");
            let (_, made) = make(
                scan_seed(DEMO_COHORT, class, 0),
                class,
                usize::from(self.matrix),
            )?;
            let out = self.out.join(&name);
            let truth_ml = made.lesions.data().iter().filter(|v| **v != 0).count() as f64
                * made.lesions.geometry().voxel_mm3()
                / 1000.0;
            let (row, exit) = Row::timed(&name, || {
                let scan = Scan::in_memory(format!("{name} (synthetic phantom)"), made.ct);
                let prediction = analyse(&predictor, &scan, None, &options, &run, &bar)?;
                bar.set_message("writing");
                write_results(&scan.volume, &prediction, &name, HeatmapGrid::Own, &out)?;
                io::write_nifti(
                    &out.join("ct.nii.gz"),
                    &scan.volume.map(|hu| hu.round() as i16),
                )
                .and_then(|()| io::write_nifti(&out.join("truth.nii.gz"), &made.lesions))
                .map_err(crate::failure::Failure::output)?;
                let overlap = Overlap::from_masks(&made.lesions, &prediction.maps.lesions);
                // Dice says nothing about a phantom without lesions.
                let overlap = overlap.ok().filter(|o| !o.truth_is_empty());
                if let Some(dice) = overlap.and_then(|o| o.dice()) {
                    bar.suspend(|| {
                        output::say(&format!("{name}: lesion Dice with the truth {dice:.3}"))
                    });
                }
                Ok(prediction.finding)
            });
            bar.finish_and_clear();
            if let (Some(exit), Err(reason)) = (exit, &row.result) {
                return Err(crate::failure::Failure::new(exit, reason));
            }
            entries.push(Entry {
                href: format!("{name}/report.html"),
                name,
                result: row.result.clone(),
                truth: Some((class, truth_ml)),
            });
            rows.push(row);
        }
        let introduction = format!(
            "Three synthetic phantoms (drawn by a program, not patients), analysed by the model {}. They show that the \
             machinery works and say nothing about patients. The model was trained on: {}",
            card.name, card.trained_on
        );
        let index = self.out.join("index.html");
        files::write(
            &index,
            index_page("multirnet demo", &introduction, &entries).as_bytes(),
        )?;
        if context.json {
            let list: Vec<_> = rows.iter().filter_map(|r| r.result.as_ref().ok()).collect();
            return output::print(&output::to_json(&list)?);
        }
        output::print(&table(&rows))?;
        output::print(&format!("pages: {}\n", output::path(&index)))
    }

    /// Opens a server on phantoms, which lie in the folder of the results.
    fn serve(self, context: &Context) -> Outcome {
        output::say("The three scans are synthetic phantoms.");
        let phantoms = self.out.join("phantoms");
        let config = ServerConfig {
            data: self.out.join("server"),
            listen: self.listen,
            allow_roots: vec![phantoms.clone()],
            ..ServerConfig::default()
        };
        let analyser = analyser(&config, self.model)?;
        files::make_dir(&phantoms)?;
        for class in Diagnosis::ALL {
            let path = phantoms.join(format!("phantom-{}.nii.gz", class.name()));
            if !path.exists() {
                let seed = scan_seed(DEMO_COHORT, class, 0);
                let (_, made) = make(seed, class, usize::from(self.matrix))?;
                io::write_nifti(&path, &made.ct.map(|hu| hu.round() as i16))
                    .map_err(crate::failure::Failure::output)?;
            }
        }
        let stop = crate::stop::saving()?;
        serve(config, analyser, None, context, stop, |server| {
            for class in Diagnosis::ALL {
                let name = format!("phantom-{}", class.name());
                server.analyse_path(&phantoms.join(format!("{name}.nii.gz")), &name)?;
            }
            Ok(())
        })
    }
}
