//! Times the kernels on the network's shapes: `cargo bench -p multirnet-kernels [filter]`.
//!
//! Prints the median time and the rate (border products counted) of the forward pass, the input
//! gradient and the weight gradient.

use std::time::Instant;

use multirnet_kernels::{Conv, isa};

fn median(mut f: impl FnMut()) -> f64 {
    f();
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 5 || (begin.elapsed().as_secs_f64() < 0.3 && times.len() < 50) {
        let start = Instant::now();
        f();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let filter: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let [l1, l2, l3, l4, l5] = [0, 1, 2, 3, 4].map(|i| [32usize, 96, 96].map(|v| v >> i));
    // name, batch, channels, input, kernel, stride, padding
    let shapes = [
        ("small level 1 first", 4, [2, 8], l1, 3, 1, 1),
        ("small level 1", 4, [8, 8], l1, 3, 1, 1),
        ("base level 1", 4, [16, 16], l1, 3, 1, 1),
        ("level 2, 16", 4, [16, 16], l2, 3, 1, 1),
        ("level 2, 32", 4, [32, 32], l2, 3, 1, 1),
        ("level 3, 32", 4, [32, 32], l3, 3, 1, 1),
        ("level 3, 64", 4, [64, 64], l3, 3, 1, 1),
        ("level 4, 128", 4, [128, 128], l4, 3, 1, 1),
        ("level 5, 128", 4, [128, 128], l5, 3, 1, 1),
        ("level 5, 256", 4, [256, 256], l5, 3, 1, 1),
        ("class stride 2", 4, [16, 32], l1, 3, 2, 1),
        ("down 8", 4, [8, 16], l1, 2, 2, 0),
        ("down 32", 4, [32, 64], l2, 2, 2, 0),
        ("head 8", 4, [8, 1], l1, 1, 1, 0),
        ("skip 16", 4, [16, 32], l2, 1, 1, 0),
    ];
    println!("{:?}, {} threads", isa(), rayon::current_num_threads());
    println!(
        "{:22} {:>16} {:>16} {:>16}",
        "", "forward", "input gradient", "weight gradient"
    );
    for (name, batch, channels, input, kernel, stride, padding) in shapes {
        if !filter.is_empty() && !filter.iter().any(|f| name.contains(f.as_str())) {
            continue;
        }
        let Ok(conv) = Conv::new(batch, channels, input, kernel, stride, padding) else {
            continue;
        };
        let x = vec![0.5; conv.input_len()];
        let w = vec![0.1; conv.weight_len()];
        let g = vec![0.2; conv.output_len()];
        let times = [
            median(|| drop(conv.forward(&x, &w, None))),
            median(|| drop(conv.input_grad(&g, &w))),
            median(|| drop(conv.weight_grad(&x, &g))),
        ];
        print!("{name:22}");
        for t in times {
            print!(
                " {:7.2} ms {:4.0} G",
                t * 1e3,
                conv.flops() as f64 / t / 1e9
            );
        }
        println!();
    }
}
