//! Every net that can be trained, scored and compared here, behind one type.
//!
//! [`SystemConfig`] names a net and holds its configuration; [`SystemConfig::init`] makes a
//! [`System`], whose [`ModelOutput`] loss, training and scoring share. A new net is one file under
//! `nets/` with a [`Net`] and its [`NetConfig`], and one line in the table at the end of this file.

pub use crate::net::{ModelOutput, Net, NetConfig, SystemCard};

use crate::config::MultiRNetConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::nets::*;
use crate::tensors::trained_parameters;
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// One configuration of `C`: `fields` over the preset, or over the defaults without one.
fn read<C: NetConfig>(preset: Option<&str>, fields: Map<String, Value>) -> Result<C> {
    let bad = |reason: String| Error::new(ErrorKind::Config, reason);
    let mut whole = Map::new();
    if let Some(name) = preset {
        let config = C::preset(name).ok_or_else(|| {
            let known = C::PRESETS.join(", ");
            bad(format!("model.preset {name:?} is unknown (known: {known})"))
        })?;
        if let Ok(Value::Object(base)) = serde_json::to_value(config) {
            whole = base;
        }
    }
    whole.extend(fields);
    serde_json::from_value(Value::Object(whole)).map_err(|e| bad(format!("model: {e}")))
}

macro_rules! systems {
    ($($name:literal => $net:ident: $config:ident,)+) => {
        /// Any of the nets.
        #[derive(Module, Debug)]
        #[allow(clippy::large_enum_variant, reason = "there is one net in a process at a time")]
        pub enum AnyNet {
            $(#[doc = concat!("See [`", stringify!($net), "`].")] $net($net),)+
        }

        /// Which net, and its configuration.
        ///
        /// In files a table with the keys `system` (default `multirnet`), `preset` (optional) and
        /// the net's own fields, which replace the preset's.
        #[derive(Debug, Clone, PartialEq)]
        pub enum SystemConfig {
            $(#[doc = concat!("See [`", stringify!($config), "`].")] $net($config),)+
        }

        $(impl From<$config> for SystemConfig {
            fn from(config: $config) -> Self {
                Self::$net(config)
            }
        })+

        impl SystemConfig {
            /// Names of all systems, as in the key `system`.
            pub const NAMES: &'static [&'static str] = &[$($name),+];

            /// The system's name, as in the key `system`.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$net(_) => $name,)+ }
            }

            /// The system called `name` with a preset and further fields.
            ///
            /// # Errors
            ///
            /// [`ErrorKind::Config`] for a name, preset, field or value that is not known.
            pub fn read(name: &str, preset: Option<&str>, fields: Map<String, Value>) -> Result<Self> {
                match name {
                    $($name => read::<$config>(preset, fields).map(Self::$net),)+
                    _ => Err(Error::new(
                        ErrorKind::Config,
                        format!(
                            "model.system {name:?} is unknown (known: {})",
                            Self::NAMES.join(", ")
                        ),
                    )),
                }
            }

            /// Its configuration as JSON, without the system's name.
            fn fields(&self) -> serde_json::Result<Value> {
                match self { $(Self::$net(config) => serde_json::to_value(config),)+ }
            }

            /// What is known of the system.
            pub fn card(&self) -> SystemCard {
                match self { $(Self::$net(_) => <$config as NetConfig>::CARD,)+ }
            }

            /// Names of its presets.
            pub fn presets(&self) -> &'static [&'static str] {
                match self { $(Self::$net(_) => <$config as NetConfig>::PRESETS,)+ }
            }

            /// See [`NetConfig::validate`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn validate(&self) -> Result<()> {
                match self { $(Self::$net(config) => NetConfig::validate(config),)+ }
            }

            /// See [`NetConfig::check_window`].
            ///
            /// # Errors
            ///
            /// As there.
            pub fn check_window(&self, shape: [usize; 3]) -> Result<()> {
                match self { $(Self::$net(config) => NetConfig::check_window(config, shape),)+ }
            }

            /// Whether it gives lesion maps.
            pub fn segments(&self) -> bool {
                match self { $(Self::$net(config) => NetConfig::segments(config),)+ }
            }

            /// Whether it gives classes.
            pub fn classifies(&self) -> bool {
                match self { $(Self::$net(config) => NetConfig::classifies(config),)+ }
            }

            /// Lesion channels K.
            pub fn lesion_channels(&self) -> usize {
                match self { $(Self::$net(config) => NetConfig::lesion_channels(config),)+ }
            }

            /// Makes the net on `device`; it trains if the device is an autodiff device.
            ///
            /// # Panics
            ///
            /// If [`validate`](Self::validate) would refuse the configuration.
            pub fn init(&self, device: &Device) -> System {
                System {
                    net: match self {
                        $(Self::$net(config) => AnyNet::$net(NetConfig::init(config, device)),)+
                    },
                    config: self.clone(),
                }
            }
        }

        impl AnyNet {
            fn answer(&self, x: Tensor<5>) -> ModelOutput {
                match self { $(Self::$net(net) => net.answer(x),)+ }
            }

            fn class_weights(&self) -> Option<Tensor<2>> {
                match self { $(Self::$net(net) => net.class_weights(),)+ }
            }
        }
    };
}

/// A net with its configuration.
#[derive(Module, Debug)]
pub struct System {
    /// The net.
    pub net: AnyNet,
    #[module(skip)]
    config: SystemConfig,
}

impl System {
    /// The configuration that the net was made from.
    pub fn config(&self) -> &SystemConfig {
        &self.config
    }

    /// The net's answer; see [`Net::answer`].
    ///
    /// # Shapes
    ///
    /// - `x`: CT in \[0, 1\], `[batch, 1, d, h, w]`
    ///
    /// # Panics
    ///
    /// For a window that [`SystemConfig::check_window`] refuses.
    pub fn answer(&self, x: Tensor<5>) -> ModelOutput {
        self.net.answer(x)
    }

    /// Weights `[C, 3]` for Grad-CAM; see [`Net::class_weights`].
    pub fn class_weights(&self) -> Option<Tensor<2>> {
        self.net.class_weights()
    }

    /// Numbers that are trained: weights and biases, without the running statistics of norms.
    pub fn trained_parameters(&self) -> usize {
        trained_parameters(&self.net)
    }
}

impl From<MultiRNet> for System {
    fn from(net: MultiRNet) -> Self {
        Self {
            config: net.config().clone().into(),
            net: AnyNet::MultiRNet(net),
        }
    }
}

impl Default for SystemConfig {
    fn default() -> Self {
        Self::MultiRNet(MultiRNetConfig::default())
    }
}

impl Serialize for SystemConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::Error;
        let mut map = Map::from_iter([("system".to_owned(), self.name().into())]);
        if let Value::Object(fields) = self.fields().map_err(S::Error::custom)? {
            // TOML has no null: what is none is left out.
            map.extend(fields.into_iter().filter(|(_, value)| !value.is_null()));
        }
        map.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SystemConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut map = Map::deserialize(deserializer)?;
        let mut text = |key: &str| match map.remove(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(D::Error::custom(format!("model.{key} {other} is no name"))),
        };
        let (name, preset) = (text("system")?, text("preset")?);
        let name = name.as_deref().unwrap_or("multirnet");
        Self::read(name, preset.as_deref(), map).map_err(D::Error::custom)
    }
}

// The table of all systems: the name in files, the net, its configuration.
systems! {
    "multirnet" => MultiRNet: MultiRNetConfig,
    "unet3d" => UNet3d: UNet3dConfig,
    "unetpp3d" => UNetPp3d: UNetPp3dConfig,
    "zhou" => Zhou: ZhouConfig,
    "densenet" => DenseNet3d: DenseNet3dConfig,
    "medt" => MedT: MedTConfig,
    "trans-unet" => TransUNet: TransUNetConfig,
    "inf-net" => InfNet: InfNetConfig,
    "jcs" => Jcs: JcsConfig,
    "res2net" => Res2Net: Res2NetConfig,
}
