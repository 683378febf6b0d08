//! temporary
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Tensor};
use multirnet_nn::systems::*;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn time(name: &str, preset: &str, steps: usize) {
    let device = Device::flex().autodiff();
    let mut net = SystemConfig::read(name, Some(preset), Default::default())
        .unwrap()
        .init(&device);
    let mut adam = AdamConfig::new().init();
    let x = Tensor::<5>::random([4, 1, 32, 96, 96], Distribution::Uniform(0.0, 1.0), &device);
    for _ in 0..steps {
        let begin = Instant::now();
        let a = net.answer(x.clone());
        let mut loss = Tensor::<1>::zeros([1], &device);
        for l in a.lesion {
            loss = loss + l.mean();
        }
        for l in a.class_logits {
            loss = loss + l.powf_scalar(2.0).mean();
        }
        let f = begin.elapsed().as_secs_f64();
        let grads = loss.backward();
        let b = begin.elapsed().as_secs_f64();
        let grads = GradientsParams::from_grads(grads, &net);
        net = adam.step(3e-4, net, grads);
        let u = begin.elapsed().as_secs_f64();
        println!(
            "{} {preset}: forward {f:.3} backward {:.3} update {:.3} all {u:.3}",
            name,
            b - f,
            u - b
        );
    }
}

fn main() {
    multirnet_kernels::allocator::keep_freed_pages();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (p, n) = (args[1].as_str(), args[2].parse().unwrap());
    time(&args[0], p, n);
}
