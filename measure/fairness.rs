//! Fairness of a queue: several processes take jobs from one pusher, with and without work to do for each.
//! Then the same with requests.
//!
//! `cargo run --release --example fairness`
//!
//! A figure is the share of a worker in per cent of an even share, over all jobs of a run. It is given for
//! the worker that got the fewest jobs, and for the worker that got the most. Two more figures give the same
//! for the worst of ten parts of the run.

use shmcomm_examples::{Planner, Task, Tasks, Trip, Way};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const JOBS: u64 = 40_000;
/// Number of parts into which a run is divided for the figures.
const PARTS: u64 = 10;
/// Job that ends a worker.
const END: u64 = u64::MAX;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result {
    match std::env::args().nth(1).as_deref() {
        Some("pull") => return pull(),
        Some("answer") => return answer(),
        _ => {}
    }
    println!("{:36} {:>16} {:>22}", "", "least  most", "in the worst tenth");
    for (what, role) in [("jobs", "pull"), ("requests", "answer")] {
        for workers in [2, 4] {
            for effort in [0, 20, 200] {
                let jobs = if effort > 100 { JOBS / 4 } else { JOBS };
                let taken = run(role, workers, effort, jobs)?;
                let even = |parts: u64| jobs as f64 / parts as f64 / workers as f64;
                let sums: Vec<u64> = taken.iter().map(|parts| parts.iter().sum()).collect();
                let share = |taken: u64, parts| 100.0 * taken as f64 / even(parts);
                let (least, most) = (sums.iter().min(), sums.iter().max());
                let parts = || taken.iter().flatten();
                println!(
                    "{:36} {:>7.0} % {:>5.0} % {:>12.0} % {:>5.0} %",
                    format!("{workers} workers, {what} of {effort} µs"),
                    share(*least.unwrap_or(&0), 1),
                    share(*most.unwrap_or(&0), 1),
                    share(*parts().min().unwrap_or(&0), PARTS),
                    share(*parts().max().unwrap_or(&0), PARTS),
                );
            }
        }
    }
    Ok(())
}

/// Returns the number of jobs that each worker got, in each part of the run.
fn run(role: &str, workers: usize, effort: u64, jobs: u64) -> Result<Vec<Vec<u64>>> {
    let namespace = format!("fairness-{}", std::process::id());
    let part = |number| number * PARTS / jobs;
    let hired = || -> std::io::Result<Child> {
        let mut program = Command::new(std::env::current_exe()?);
        program.args([role, &effort.to_string(), &jobs.to_string()]).env("SHMCOMM_NAMESPACE", &namespace);
        program.stdout(Stdio::piped()).spawn()
    };
    let mut tasks = Tasks::open().namespace(&namespace).pusher()?;
    let planner = Planner::open().namespace(&namespace).requester()?;
    let crew = (0..workers).map(|_| hired()).collect::<std::io::Result<Vec<_>>>()?;
    let mut by = std::collections::HashMap::<u32, Vec<u64>>::new();
    if role == "pull" {
        while tasks.stats().participants.iter().filter(|p| p.alive).count() < workers + 1 {
            std::thread::sleep(Duration::from_millis(1));
        }
        for number in 0..jobs {
            tasks.send(&Task { number, effort })?;
        }
        for _ in 0..workers {
            tasks.send(&Task { number: END, effort })?;
        }
    } else {
        if !planner.wait_for_repliers(workers, Duration::from_secs(10)) {
            return Err("the workers did not come within 10 s".into());
        }
        // Two requests are outstanding for each worker, so that no worker waits for the requester.
        let mut pending = std::collections::VecDeque::new();
        for number in 0..jobs {
            if pending.len() == 2 * workers {
                let (number, call): (u64, shmcomm::Call<'_, Way>) =
                    pending.pop_front().expect("there are some");
                by.entry(call.wait()?.planner).or_insert_with(|| vec![0; PARTS as usize])
                    [part(number) as usize] += 1;
            }
            pending.push_back((number, planner.call(&Trip { from: [effort as f64, 0.0], to: [0.0; 2] })?));
        }
        for (number, call) in pending {
            by.entry(call.wait()?.planner).or_insert_with(|| vec![0; PARTS as usize])
                [part(number) as usize] += 1;
        }
    }
    let mut taken = Vec::new();
    for mut worker in crew {
        if role == "answer" {
            taken.push(by.remove(&worker.id()).unwrap_or_else(|| vec![0; PARTS as usize]));
            worker.kill()?;
            worker.wait()?;
        } else {
            let said = String::from_utf8(worker.wait_with_output()?.stdout)?;
            taken
                .push(said.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<u64>, _>>()?);
        }
    }
    Ok(taken)
}

fn work(effort: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_micros(effort) {
        std::hint::spin_loop();
    }
}

fn pull() -> Result {
    let jobs: u64 = std::env::args().nth(3).ok_or("how many jobs?")?.parse()?;
    let mut tasks = Tasks::puller()?;
    let mut taken = [0_u64; PARTS as usize];
    loop {
        let task = tasks.recv()?;
        if task.number == END {
            println!("{}", taken.map(|count| count.to_string()).join(" "));
            return Ok(());
        }
        taken[(task.number * PARTS / jobs) as usize] += 1;
        work(task.effort);
    }
}

fn answer() -> Result {
    Planner::replier()?.serve(|trip| {
        work(trip.from[0] as u64);
        Way { planner: std::process::id(), ..Way::default() }
    })?;
    Ok(())
}
