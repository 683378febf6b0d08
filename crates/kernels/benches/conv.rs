//! Times the kernels on the network's shapes: `cargo bench -p multirnet-kernels [filter]`.
//!
//! Prints the median time of the forward pass, the input gradient and the weight gradient, and two
//! rates in GFLOP/s (products with padding count): by that time, and by processor time. On a busy
//! machine the rate by processor time is the more reliable one.

use std::time::Instant;

use multirnet_kernels::{Algorithm, Conv, Values, bf16_unit, isa};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Processor seconds of this process so far (Linux; elsewhere wall seconds).
fn processor(start: Instant) -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    // These are fields 14 and 15 of proc(5), in hundredths of a second.
    match (ticks(12), ticks(13)) {
        (Some(user), Some(system)) => (user + system) / 100.0,
        _ => start.elapsed().as_secs_f64(),
    }
}

/// Median wall time and mean processor time of a call.
fn measure(mut f: impl FnMut()) -> [f64; 2] {
    f();
    let begin = Instant::now();
    let busy = processor(begin);
    let mut times = Vec::new();
    while times.len() < 3 || processor(begin) - busy < 0.3 {
        let start = Instant::now();
        f();
        times.push(start.elapsed().as_secs_f64());
    }
    let busy = (processor(begin) - busy) / times.len() as f64;
    times.sort_by(f64::total_cmp);
    [times[times.len() / 2], busy]
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
    // Slices of 2D nets: name, batch, channels, input
    let flat = [
        ("slices 96, 32", 4, [32, 32], l1),
        ("slices 48, 64", 4, [64, 64], [32, 48, 48]),
        ("slices 24, 64", 4, [64, 64], [32, 24, 24]),
        ("slices 12, 128", 4, [128, 128], [32, 12, 12]),
    ];
    println!("{:?}, {} threads", isa(), rayon::current_num_threads());
    println!(
        "{:32} {:>20} {:>20} {:>20}",
        "", "forward", "input gradient", "weight gradient"
    );
    for (name, batch, channels, input, kernel, stride, padding) in shapes {
        if !filter.is_empty() && !filter.iter().any(|f| name.contains(f.as_str())) {
            continue;
        }
        if let Ok(conv) = Conv::new(batch, channels, input, kernel, stride, padding) {
            all_ways(name, &conv);
        }
    }
    for (name, batch, channels, input) in flat {
        if !filter.is_empty() && !filter.iter().any(|f| name.contains(f.as_str())) {
            continue;
        }
        if let Ok(conv) = Conv::flat(batch, channels, input, 1) {
            all_ways(name, &conv);
        }
    }
}

fn all_ways(name: &str, conv: &Conv) {
    let ways: &[Algorithm] = if (conv.kernel, conv.stride) == (3, 1) {
        &[
            Algorithm::Direct,
            Algorithm::Winograd2,
            Algorithm::Winograd4,
            Algorithm::Auto,
        ]
    } else {
        &[Algorithm::Auto]
    };
    let x = vec![0.5; conv.input_len()];
    let w = vec![0.1; conv.weight_len()];
    let g = vec![0.2; conv.output_len()];
    for &way in ways {
        let conv = conv.with_algorithm(way);
        let times = [
            measure(|| drop(conv.forward(&x, &w, None))),
            measure(|| drop(conv.input_grad(&g, &w))),
            measure(|| drop(conv.weight_grad(&x, &g))),
        ];
        line(&format!("{name} {way:?}"), &conv, times);
    }
    let Some(unit) = bf16_unit() else {
        return;
    };
    // The unit's own products, and what the cost model chooses for the unit.
    for (way, label) in [
        (Algorithm::Direct, format!("{unit:?}")),
        (Algorithm::Auto, "bf16".into()),
    ] {
        let conv = conv.with_algorithm(way);
        let times = [
            measure(|| drop(conv.forward_bf16(Values::F32(&x), &w))),
            measure(|| drop(conv.input_grad_bf16(Values::F32(&g), &w))),
            measure(|| drop(conv.weight_grad_bf16(Values::F32(&x), Values::F32(&g)))),
        ];
        line(&format!("{name} {label}"), &conv, times);
    }
}

fn line(name: &str, conv: &Conv, times: [[f64; 2]; 3]) {
    print!("{name:32}");
    let rate = conv.flops() as f64 / 1e9;
    for [wall, busy] in times {
        print!(
            " {:7.2} ms {:4.0} {:4.0}",
            wall * 1e3,
            rate / wall,
            rate / busy
        );
    }
    println!();
}
