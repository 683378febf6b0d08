//! A model: scan in, finding out.

use crate::card::read_file;
use crate::network_choice::network_for;
use crate::run::run;
use crate::stage::{Progress, Stage, Watch};
use crate::{
    DeviceChoice, Error, ErrorKind, MemoryPlan, ModelCard, ModelInput, Network, PredictOptions,
    Result,
};
use multirnet_anatomy::{Prepared, Step, prepare_watched};
use multirnet_base::StopToken;
use multirnet_base::digest::sha256;
use multirnet_finding::{
    Finding, LesionKind, Maps, NOTICE, Prediction, Provenance, SCHEMA, ScanSource, involvement,
    kind_involvement,
};
use multirnet_nn::System;
use multirnet_volume::{Geometry, Volume, content_sha256_unless};
use std::path::Path;
use std::time::Instant;

/// A model, loaded once, that analyses scans.
///
/// It is `Send + Sync`: several threads may call [`Model::analyse`] at the same time. They
/// share the processor, so this pays for the reading of files more than for the network.
pub struct Model {
    network: Box<dyn Network>,
    card: ModelCard,
    digest: String,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model")
            .field("card", &self.card)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Loads a packaged model or a bare weights file.
    ///
    /// # Errors
    /// `Io` if the file cannot be read, `Model` if it is corrupt or no model, `Device` if the
    /// device cannot be used.
    pub fn load(path: &Path, device: DeviceChoice) -> Result<Self> {
        Self::from_bytes(&path.display().to_string(), &read_file(path)?, device)
    }

    /// Loads a model from a file's bytes; `name` is for messages and the name of a model that
    /// carries no card.
    ///
    /// # Errors
    /// `Model` if the bytes are corrupt or no model, `Device` if the device cannot be used.
    pub fn from_bytes(name: &str, bytes: &[u8], device: DeviceChoice) -> Result<Self> {
        let digest = sha256(bytes);
        let on_cpu = device == DeviceChoice::Cpu;
        let device = device
            .open()
            .map_err(|e| Error::caused(ErrorKind::Device, e))?;
        // First, because it explains best what is wrong with a file.
        let system: System = multirnet_nn::weights::from_bytes(name, bytes, &device)
            .map_err(|e| Error::caused(ErrorKind::Model, e))?;
        let card = ModelCard::read(name, bytes)?.unwrap_or_else(|| ModelCard::unknown(name));
        let at = |e: Error| e.at(Path::new(name));
        let network = network_for(system, device, on_cpu).map_err(at)?;
        if !(network.segments() && network.classifies()) {
            return Err(Error::new(
                ErrorKind::Model,
                "the model does not both segment and classify, so it cannot make a finding",
            )
            .hint("use a model that does both; `multirnet compare` scores the others")
            .at(Path::new(name)));
        }
        Ok(Self::with_network(network, card, digest))
    }

    /// Any network as a model, for tests and other engines; `digest` identifies its weights.
    pub fn with_network(network: Box<dyn Network>, card: ModelCard, digest: String) -> Self {
        Self {
            network,
            card,
            digest,
        }
    }

    /// Chooses the precision of the network's products.
    ///
    /// # Errors
    /// As [`Network::set_precision`].
    pub fn with_precision(mut self, precision: multirnet_kernels::Precision) -> Result<Self> {
        self.network.set_precision(precision)?;
        Ok(self)
    }

    /// What the model is.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// SHA-256 of the model file, hexadecimal.
    pub fn model_digest(&self) -> &str {
        &self.digest
    }

    /// The network's configuration.
    pub fn config(&self) -> serde_json::Value {
        self.network.config_json()
    }

    /// How many kinds of lesion the model tells apart: 1, or 2 for ground glass and consolidation.
    pub fn lesion_channels(&self) -> usize {
        self.network.lesion_channels()
    }

    /// The default options with the views that the model has been trained with, and the threshold
    /// that was chosen for it.
    pub fn options(&self) -> PredictOptions {
        let mut options = PredictOptions::default();
        if let Some(threshold) = self.card.threshold {
            options.threshold = threshold;
        }
        if let Some(input) = &self.card.input {
            options.prepare = input.apply(options.prepare);
        }
        options
    }

    /// The memory that a prediction would take at most.
    pub fn plan(&self, scan: &Geometry, lungs_given: bool, options: &PredictOptions) -> MemoryPlan {
        MemoryPlan::new(scan, lungs_given, self.network.as_ref(), options)
    }

    /// Analyses a scan. `lungs`, if given, replaces the segmentation of the lungs (1 right,
    /// 2 left, on the scan's grid). `source` says where the scan came from; its digests are
    /// computed here when it has none. `progress` is told of every stage. `stop` is looked at before
    /// each part of each stage; when it is raised, nothing is left behind.
    ///
    /// # Errors
    /// `Options` for a field out of range, `Memory` for a plan over its limit, `Scan` for what
    /// the input gate refuses, `Model` for a network that gives values that are no numbers,
    /// `Interrupted` if `stop` was raised.
    pub fn analyse(
        &self,
        scan: &Volume<f32>,
        lungs: Option<&Volume<u8>>,
        mut source: ScanSource,
        options: &PredictOptions,
        stop: &StopToken,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Prediction> {
        options.validate()?;
        let network = self.network.as_ref();
        let (plan, room) =
            MemoryPlan::with_room(scan.geometry(), lungs.is_some(), network, options);
        plan.check()?;
        let mut watch = Watch::new(progress, stop);
        watch.tell(Stage::Hash);
        let prepared = std::thread::scope(|scope| {
            // The digests are for the record only, so that they are computed beside the rest.
            let digests = scope.spawn(|| digests(scan, lungs, &mut source, stop));
            let prepared = prepare_timed(scan, lungs, options, &mut watch);
            match digests.join() {
                Ok(seconds) => watch.note_first(Stage::Hash, seconds),
                Err(panic) => std::panic::resume_unwind(panic),
            }
            prepared
        })?;
        let found = run(
            network,
            scan.geometry(),
            &prepared,
            options,
            &room,
            &mut watch,
        )?;

        let mut warnings = source.warnings.clone();
        warnings.extend(prepared.report.warnings.iter().cloned());
        warnings.extend(self.input_warning(options));
        warnings.extend(found.warnings);
        let probabilities = found.probabilities;
        let top = probabilities.top();
        let best = probabilities.of_class(top);
        if best < 0.5 {
            warnings.push(format!(
                "The most probable class, {top}, has a probability of only {best:.2}."
            ));
        }
        let maps = Maps {
            lungs: prepared.lungs,
            lesions: found.lesions,
            probability: found.probability,
            heatmap: found.heatmap,
        };
        let (involvement, lesion_kinds) = watch.time(Stage::Measure, |_| {
            // The block holds both lungs, and measuring it gives what measuring the scan would.
            let block = &found.block;
            let (lungs, lesions) = (block.cut(&maps.lungs)?, block.cut(&maps.lesions)?);
            let kinds = if network.lesion_channels() == LesionKind::ALL.len() {
                kind_involvement(&lungs, &lesions)?
            } else {
                Vec::new()
            };
            Ok((involvement(&lungs, &lesions)?, kinds))
        })?;
        let timings = watch.timings;
        let (windows, voxels) = (found.windows, found.voxels);
        tracing::debug!(windows, voxels, ?timings, "scan analysed");
        Ok(Prediction {
            finding: Finding {
                schema: SCHEMA,
                notice: NOTICE.to_owned(),
                validated_on: self.card.validated_on.clone(),
                source,
                geometry: *scan.geometry(),
                diagnosis: top,
                probabilities,
                involvement,
                lesion_kinds,
                warnings,
                provenance: self.provenance(options, windows, voxels)?,
                timings,
            },
            maps,
        })
    }

    fn input_warning(&self, options: &PredictOptions) -> Option<String> {
        let trained = self.card.input.as_ref()?;
        (*trained != ModelInput::from(&options.prepare)).then(|| {
            "The scan was prepared in another way than the scans that the model has been trained \
             with (HU window, spacing, margin or coarse shape)."
                .to_owned()
        })
    }

    fn provenance(
        &self,
        options: &PredictOptions,
        windows: usize,
        voxels: usize,
    ) -> Result<Provenance> {
        let json = |e: serde_json::Error| {
            Error::new(ErrorKind::Options, format!("the options as JSON: {e}"))
        };
        let config = serde_json::to_value(options).map_err(json)?;
        Ok(Provenance {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            model: self.card.name.clone(),
            model_sha256: self.digest.clone(),
            trained_on: self.card.trained_on.clone(),
            config_sha256: sha256(&serde_json::to_vec(&config).map_err(json)?),
            config,
            windows,
            voxels,
        })
    }
}

/// Fills in the digests that `source` lacks, and gives the seconds that it took beside other stages.
fn digests(
    scan: &Volume<f32>,
    lungs: Option<&Volume<u8>>,
    source: &mut ScanSource,
    stop: &StopToken,
) -> f64 {
    let start = Instant::now();
    let stopped = || stop.is_raised();
    // What is left empty by a stop is never seen: the analysis ends without a result.
    if source.content_sha256.is_empty() {
        source.content_sha256 = content_sha256_unless(scan, &stopped).unwrap_or_default();
    }
    if source.lungs_sha256.is_none() {
        source.lungs_sha256 = lungs.and_then(|l| content_sha256_unless(l, &stopped));
    }
    start.elapsed().as_secs_f64()
}

/// Prepares the scan; the time between one step and the next counts for the former's stage.
fn prepare_timed(
    scan: &Volume<f32>,
    lungs: Option<&Volume<u8>>,
    options: &PredictOptions,
    watch: &mut Watch<'_>,
) -> Result<Prepared> {
    let stop = watch.stop();
    let mut current: Option<(Step, Stage)> = None;
    let mut since = Instant::now();
    let prepared = prepare_watched(scan, lungs, &options.prepare, &mut |step| {
        if stop.is_raised() {
            return false;
        }
        if current.is_none_or(|(s, _)| s != step) {
            let stage = match step {
                Step::Lungs => Stage::Lungs,
                Step::Check | Step::Views => Stage::Prepare,
            };
            if let Some((_, last)) = current {
                watch.note(last, since.elapsed().as_secs_f64());
            }
            watch.tell(stage);
            (current, since) = (Some((step, stage)), Instant::now());
        }
        true
    });
    if let Some((_, last)) = current {
        watch.note(last, since.elapsed().as_secs_f64());
    }
    Ok(prepared?)
}
