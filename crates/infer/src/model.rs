//! A loaded model, which turns a scan into a finding.

use crate::card::read_file;
use crate::network_choice::{network_for, untrained_network};
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
use multirnet_nn::{System, SystemConfig};
use multirnet_volume::{Geometry, Volume, content_sha256_unless};
use std::path::Path;
use std::time::Instant;

/// A model, loaded once, that analyses scans.
///
/// It is `Send + Sync`: several threads may call [`Model::analyse`] at the same time. They share
/// the processor, so this saves time in reading files more than in running the network.
pub struct Model {
    network: Box<dyn Network>,
    card: ModelCard,
    digest: String,
    /// The net's configuration; `None` for a network that was handed in.
    system: Option<SystemConfig>,
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
    /// `Io` if the file cannot be read, `Model` if it is corrupt, is not a model, or its net does
    /// not both segment and classify, `Device` if the device cannot be used.
    pub fn load(path: &Path, device: DeviceChoice) -> Result<Self> {
        Self::from_bytes(&path.display().to_string(), &read_file(path)?, device)
    }

    /// Loads a model from a file's bytes. Messages use `name`, and so does the card of a model
    /// without one.
    ///
    /// # Errors
    /// `Model` if the bytes are corrupt, are not a model, or the net does not both segment and
    /// classify, `Device` if the device cannot be used.
    pub fn from_bytes(name: &str, bytes: &[u8], device: DeviceChoice) -> Result<Self> {
        let digest = sha256(bytes);
        let on_cpu = device == DeviceChoice::Cpu;
        let device = device
            .open()
            .map_err(|e| Error::caused(ErrorKind::Device, e))?;
        // The weights are read first, because this gives the best explanation of a wrong file.
        let system: System = multirnet_nn::weights::from_bytes(name, bytes, &device)
            .map_err(|e| Error::caused(ErrorKind::Model, e))?;
        let card = ModelCard::read(name, bytes)?.unwrap_or_else(|| ModelCard::unknown(name));
        let at = |e: Error| e.at(Path::new(name));
        let config = system.config().clone();
        let network = network_for(system, device, on_cpu).map_err(at)?;
        if !(network.segments() && network.classifies()) {
            return Err(Error::new(
                ErrorKind::Model,
                "the model does not both segment and classify, so it cannot make a finding",
            )
            .hint("use a model that does both; `multirnet compare` scores the others")
            .at(Path::new(name)));
        }
        let mut model = Self::with_network(network, card, digest);
        model.system = Some(config);
        Ok(model)
    }

    /// The same net before any training, with random weights drawn with `seed`, on the CPU. What both show alike was not
    /// learned.
    ///
    /// # Errors
    /// `Model` for a model of [`Model::with_network`], whose net is not known.
    pub fn untrained(&self, seed: u64) -> Result<Self> {
        let config = self.system.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Model, "the model's net is not known")
                .hint("load the model from a file")
        })?;
        let network = untrained_network(config, seed, DeviceChoice::Cpu)?;
        let card = ModelCard {
            trained_on: "Nothing: the weights are random.".to_owned(),
            ..self.card.clone()
        };
        Ok(Self::with_network(network, card, String::new()))
    }

    /// Makes a model of any network, for tests and other engines. `digest` identifies its weights.
    pub fn with_network(network: Box<dyn Network>, card: ModelCard, digest: String) -> Self {
        Self {
            network,
            card,
            digest,
            system: None,
        }
    }

    /// Sets the precision of the network's products.
    ///
    /// # Errors
    /// Those of [`Network::set_precision`].
    pub fn with_precision(mut self, precision: multirnet_kernels::Precision) -> Result<Self> {
        self.network.set_precision(precision)?;
        Ok(self)
    }

    /// Frees buffers that are kept for the next scan, for a program that waits from now on. The next scan
    /// makes them anew.
    pub fn release(&self) {
        self.network.release();
    }

    /// The model card.
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

    /// Number of lesion channels: 1, or 2 for ground glass and consolidation.
    pub fn lesion_channels(&self) -> usize {
        self.network.lesion_channels()
    }

    /// The default options, with the preparation, the threshold and the temperatures from the model card.
    pub fn options(&self) -> PredictOptions {
        let mut options = PredictOptions::default();
        if let Some(threshold) = self.card.threshold {
            options.threshold = threshold;
        }
        if let Some(temperature) = self.card.lesion_temperature {
            options.lesion_temperature = temperature;
        }
        if let Some(temperature) = self.card.class_temperature {
            options.class_temperature = temperature;
        }
        if let Some(input) = &self.card.input {
            options.prepare = input.apply(options.prepare);
        }
        options
    }

    /// Upper estimate of the memory that a prediction would take.
    pub fn plan(&self, scan: &Geometry, lungs_given: bool, options: &PredictOptions) -> MemoryPlan {
        MemoryPlan::new(scan, lungs_given, self.network.as_ref(), options)
    }

    /// Analyses a scan.
    ///
    /// `lungs`, if given, replaces the segmentation of the lungs (1 right, 2 left, on the scan's
    /// grid). `source` describes the origin of the scan; this method computes its digests if they
    /// are missing. It calls `progress` at the beginning of every stage and after every batch of
    /// windows. It checks `stop` before each part of each stage, and a stopped analysis has no
    /// result.
    ///
    /// # Errors
    /// `Options` if a field is out of range, `Memory` if the plan is over its limit, `Scan` if the
    /// input gate refuses the scan, `Model` if the network's output holds values that are not
    /// probabilities, `Interrupted` if `stop` was raised.
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
            // Nothing else depends on the digests, so a thread of their own computes them.
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
            let (lungs, lesions) = (&maps.lungs, &maps.lesions);
            let kinds = if network.lesion_channels() == LesionKind::ALL.len() {
                kind_involvement(lungs, lesions)?
            } else {
                Vec::new()
            };
            Ok((involvement(lungs, lesions)?, kinds))
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
            "The scan was prepared differently from the scans that the model was trained on (HU \
             window, spacing, margin or coarse shape)."
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
            Error::new(
                ErrorKind::Options,
                format!("cannot write the options as JSON: {e}"),
            )
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

/// Computes the digests that `source` lacks. Returns the seconds that this took.
fn digests(
    scan: &Volume<f32>,
    lungs: Option<&Volume<u8>>,
    source: &mut ScanSource,
    stop: &StopToken,
) -> f64 {
    let start = Instant::now();
    let stopped = || stop.is_raised();
    // After a stop a digest may stay empty. Nobody sees it, because the analysis then ends
    // without a result.
    if source.content_sha256.is_empty() {
        source.content_sha256 = content_sha256_unless(scan, &stopped).unwrap_or_default();
    }
    if source.lungs_sha256.is_none() {
        source.lungs_sha256 = lungs.and_then(|l| content_sha256_unless(l, &stopped));
    }
    start.elapsed().as_secs_f64()
}

/// Prepares the scan. The time from one step to the next counts for the stage of the first.
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
