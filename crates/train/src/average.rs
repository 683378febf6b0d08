//! The moving average of the weights.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::Tensor;
use std::vec::IntoIter;

/// The average of all tensors of a net, including the running statistics of norms. A norm's mean is
/// nearly linear in the weights, so averaged statistics fit averaged weights better than the last
/// weights' statistics do.
///
/// It lies on the net's device. Each step costs one pass over the weights.
pub(crate) struct Average {
    values: Vec<Tensor<1>>,
}

impl Average {
    /// An average that starts with the tensors of `net`.
    pub fn new(net: &impl Module) -> Self {
        Self { values: read(net) }
    }

    /// Keeps the share `decay` of itself and takes the rest from `net`.
    pub fn update(&mut self, net: &impl Module, decay: f64) {
        for (average, now) in self.values.iter_mut().zip(read(net)) {
            // In this form an average of equal values is exactly that value.
            let step = (now - average.clone()).mul_scalar(1.0 - decay);
            *average = average.clone() + step;
        }
    }

    /// A copy of `net` for evaluation with the averaged tensors.
    pub fn of<M: Module>(&self, net: &M) -> M {
        let mut write = Write(self.values.clone().into_iter());
        net.valid().map(&mut write)
    }
}

/// Share of itself that the average keeps after `step` steps. It is small at the start, so the
/// average soon forgets the first weights.
pub(crate) fn decay(limit: f64, step: u64) -> f64 {
    let t = step as f64;
    limit.min((1.0 + t) / (10.0 + t))
}

/// Every tensor in order, flat, without autodiff.
fn read(net: &impl Module) -> Vec<Tensor<1>> {
    let mut found = Read(Vec::new());
    // `valid` updates the running statistics, which otherwise lag by one batch.
    net.valid().visit(&mut found);
    found.0
}

struct Read(Vec<Tensor<1>>);

impl ModuleVisitor for Read {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.0.push(param.val().flatten(0, D - 1));
    }
}

struct Write(IntoIter<Tensor<1>>);

impl ModuleMapper for Write {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.next() {
            Some(values) => param.map(|old| values.reshape(old.dims())),
            None => param,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::Device;

    fn with(linear: Linear, weight: f32, bias: f32) -> Linear {
        let set = |value: f32| move |t: Tensor<2>| t.zeros_like().add_scalar(value);
        Linear {
            weight: linear.weight.map(set(weight)),
            bias: linear
                .bias
                .map(|b| b.map(|t| t.zeros_like().add_scalar(bias))),
        }
    }

    fn values(linear: &Linear) -> [f32; 2] {
        let bias = linear.bias.as_ref().unwrap().val();
        let first = |data: burn::tensor::TensorData| data.iter::<f32>().next().unwrap();
        [
            first(linear.weight.val().into_data()),
            first(bias.into_data()),
        ]
    }

    #[test]
    fn averages_by_hand() {
        let device = Device::flex().autodiff();
        let net = with(LinearConfig::new(1, 1).init(&device), 1.0, -2.0);
        let mut average = Average::new(&net);
        assert_eq!(values(&average.of(&net)), [1.0, -2.0]);
        // 0.75 · 1 + 0.25 · 5 and 0.75 · −2 + 0.25 · 2
        let net = with(net, 5.0, 2.0);
        average.update(&net, 0.75);
        assert_eq!(values(&average.of(&net)), [2.0, -1.0]);
        // 0.5 · 2 + 0.5 · 0 and 0.5 · −1 + 0.5 · 0
        let net = with(net, 0.0, 0.0);
        average.update(&net, 0.5);
        assert_eq!(values(&average.of(&net)), [1.0, -0.5]);
        assert_eq!(values(&net), [0.0, 0.0], "the net itself stays as it is");
    }

    #[test]
    fn the_decay_rises_to_its_limit() {
        assert_eq!(decay(0.98, 0), 0.1);
        assert_eq!(decay(0.98, 8), 0.5);
        assert_eq!(decay(0.98, 440), 0.98);
        assert_eq!(decay(0.98, 100_000), 0.98);
    }
}
