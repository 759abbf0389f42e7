/*===- peak.c - The rate of dot products this CPU can reach now ------------===
 *
 * Prints the GOP/s of a loop of independent 512-bit vpdpbusd, summed over
 * pinned threads: what timings in the same minute are compared with. Prints 0
 * where the CPU has no AVX-512 VNNI.
 *
 *     peak [THREADS [SECONDS]]
 *
 *===-----------------------------------------------------------------------===
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { MaxThreads = 64, Repeats = 50000, Accumulators = 12 };

struct Job {
  pthread_t thread;
  int cpu;
  double seconds, rate;
};

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Twelve accumulators hide the latency of four cycles on two ports. */
#define DOT(n) "vpdpbusd %%zmm31, %%zmm30, %%zmm" #n "\n"
static void dots(void) {
  for (int i = 0; i < Repeats; ++i)
    __asm__ volatile(DOT(0) DOT(1) DOT(2) DOT(3) DOT(4) DOT(5) DOT(6) DOT(7)
                         DOT(8) DOT(9) DOT(10) DOT(11)
                     :
                     :
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
                       "xmm7", "xmm8", "xmm9", "xmm10", "xmm11");
}

static void *work(void *argument) {
  struct Job *job = argument;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(job->cpu, &set);
  sched_setaffinity(0, sizeof(set), &set);
  for (double end = now() + job->seconds, begin; (begin = now()) < end;) {
    dots();
    /* 64 multiplications and 64 additions an instruction. */
    double rate = 1e-9 * Repeats * Accumulators * 128 / (now() - begin);
    if (rate > job->rate)
      job->rate = rate;
  }
  return NULL;
}

int main(int count, char **arguments) {
  static struct Job jobs[MaxThreads];
  int threads = count > 1 ? atoi(arguments[1]) : 1;
  double seconds = count > 2 ? atof(arguments[2]) : 0.3, total = 0;
  if (threads < 1 || threads > MaxThreads)
    return 2;
  if (!__builtin_cpu_supports("avx512vnni")) {
    puts("0");
    return 0;
  }
  for (int i = 0; i < threads; ++i) {
    jobs[i].cpu = i;
    jobs[i].seconds = seconds;
    if (pthread_create(&jobs[i].thread, NULL, work, &jobs[i]))
      return 1;
  }
  for (int i = 0; i < threads; ++i) {
    pthread_join(jobs[i].thread, NULL);
    total += jobs[i].rate;
  }
  printf("%.0f\n", total);
  return 0;
}
