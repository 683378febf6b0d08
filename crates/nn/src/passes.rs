//! The passes of the nets that are written over [`Compute`], in one form for engines and exporters.

use crate::compute::Compute;
use crate::config::ClassFrom;
use crate::net::NetPass;
use crate::systems::{AnyNet, System};

/// How often a net runs over its windows, and which pass gives the classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passes {
    /// Number of passes, at least 1.
    pub count: usize,
    /// The pass that gives the class logits.
    pub class_from: ClassFrom,
}

impl System {
    /// The net's passes; `None` if the net is not written over [`Compute`].
    pub fn passes(&self) -> Option<Passes> {
        let (iterations, class_from) = match &self.net {
            AnyNet::MultiRNet(net) => (net.config().iterations, net.config().class_from),
            AnyNet::Zhou(net) => (net.config().iterations, ClassFrom::Last),
            AnyNet::UNet3d(_) | AnyNet::UNetPp3d(_) | AnyNet::DenseNet3d(_) => (0, ClassFrom::Last),
            _ => return None,
        };
        Some(Passes {
            count: iterations + 1,
            class_from,
        })
    }

    /// Runs one pass with the operations of `on`; `None` if the net is not written over
    /// [`Compute`]. `previous` is the [`mask`](NetPass::mask) of the pass before (zeros for the
    /// first). Nets with one pass ignore it.
    ///
    /// # Shapes
    ///
    /// - `x` and `previous`: `[batch, 1, d, h, w]`
    pub fn pass_on<C: Compute>(
        &self,
        on: &C,
        x: C::Map,
        previous: C::Map,
    ) -> Option<NetPass<C::Map, C::Vector>> {
        Some(match &self.net {
            AnyNet::MultiRNet(net) => {
                let pass = net.pass_on(on, x, previous);
                NetPass {
                    mask: Some(net.lesion_mask(on, pass.lesion.clone())),
                    lesion: Some(pass.lesion),
                    class_logits: pass.class_logits,
                    class_features: pass.class_features,
                }
            }
            AnyNet::Zhou(net) => net.pass_on(on, x, previous),
            AnyNet::UNet3d(net) => segmented(Some(net.forward_on(on, x))),
            AnyNet::UNetPp3d(net) => segmented(net.forward_on(on, x).pop()),
            AnyNet::DenseNet3d(net) => {
                let (logits, features) = net.forward_on(on, x);
                NetPass {
                    lesion: None,
                    mask: None,
                    class_logits: Some(logits),
                    class_features: Some(features),
                }
            }
            _ => return None,
        })
    }
}

/// The pass of a net that only segments.
fn segmented<M, V>(lesion: Option<M>) -> NetPass<M, V> {
    NetPass {
        lesion,
        mask: None,
        class_logits: None,
        class_features: None,
    }
}
