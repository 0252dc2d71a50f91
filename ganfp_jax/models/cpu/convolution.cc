// Convolutions for the CPU and both their gradients: float32, images NHWC, kernels HWIO. convolution.py calls them.
//
// All are sums of outer products in registers: neighbours (pixels, or values of one pixel) times two vectors of output
// channels. They read contiguous memory: an image's rows are first copied with their padding, and a kernel that many
// pixels read is copied into panels of two vectors of output channels. A row of the kernel then reads kernel width x
// input channels contiguous values of the image.

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "xla/ffi/api/ffi.h"

namespace ffi = xla::ffi;

namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16, kPixels = 8, kValues = 14;  // 32 registers
#else
constexpr int kLanes = 8, kPixels = 6, kValues = 6;  // 16 registers
#endif
constexpr int64_t kCached = 64 * 1024;  // floats of an image's rows that fit into a core's cache beside the weights
constexpr int64_t kManyPixels = 512, kFewTiles = 64;  // least pixels of a call and tiles of a part for Winograd's form
constexpr int64_t kFewPixels = 256;  // most pixels of a call that reads the weights in place
constexpr int64_t kWorthwhile = 64 * 1024;  // least floats to write for which another thread is woken
constexpr int64_t kStretch = 256;  // pixels over which a filter gradient is summed in registers

typedef float Vector __attribute__((vector_size(4 * kLanes)));
typedef float Unaligned __attribute__((vector_size(4 * kLanes), aligned(4)));

inline Vector load(const float* p) { return *reinterpret_cast<const Unaligned*>(p); }
inline void store(float* p, Vector v) { *reinterpret_cast<Unaligned*>(p) = v; }
inline Vector broadcast(float x) { return x - Vector{}; }

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

enum Slot { kPacked, kTransformed, kWindow, kResults, kTiles, kProducts, kSums, kSlots };

// Memory that a thread keeps between calls, since new pages cost more than the arithmetic on them.
float* scratch(Slot slot, int64_t floats) {
  struct Buffer {
    float* data = nullptr;
    int64_t size = 0;
    ~Buffer() { std::free(data); }
  };
  static thread_local Buffer buffers[kSlots];
  Buffer& buffer = buffers[slot];
  if (buffer.size < floats) {
    std::free(buffer.data);
    buffer.size = divide_up(floats, 1024) * 1024;
    buffer.data = static_cast<float*>(std::aligned_alloc(64, buffer.size * sizeof(float)));
  }
  return buffer.data;
}

// Runs work(0) ... work(count - 1) on the pool's threads and on this one, which waits only for tasks that have begun.
// Where `floats`, the number they write, is too small to be worth waking the others, this thread runs them alone.
void parallel_for(ffi::ThreadPool& pool, int64_t count, int64_t floats, std::function<void(int64_t)> work) {
  struct State {
    std::atomic<int64_t> next{0}, done{0};
    int64_t count;
    std::function<void(int64_t)> work;
    std::mutex mutex;
    std::condition_variable finished;
  };
  const int64_t threads = std::min(pool.num_threads(), count);
  if (threads <= 1 || floats < kWorthwhile) {
    for (int64_t i = 0; i < count; ++i) work(i);
    return;
  }
  auto state = std::make_shared<State>();
  state->count = count;
  state->work = std::move(work);
  std::function<void()> run = [state] {
    for (int64_t i; (i = state->next.fetch_add(1)) < state->count;) {
      state->work(i);
      if (state->done.fetch_add(1) + 1 == state->count) {
        std::lock_guard<std::mutex> lock(state->mutex);
        state->finished.notify_all();
      }
    }
  };
  for (int64_t i = 1; i < threads; ++i) pool.Schedule(std::function<void()>(run));
  run();
  std::unique_lock<std::mutex> lock(state->mutex);
  state->finished.wait(lock, [&] { return state->done.load() == state->count; });
}

struct Images {
  const float* data;
  int64_t n, h, w, c;
  const float* image(int64_t i) const { return data + i * h * w * c; }
};

// Rows [y, y + rows) and columns [x, x + columns) of an image; outside of it, zero or reflect padding.
void copy_window(const Images& a, int64_t i, int64_t y, int64_t rows, int64_t x, int64_t columns, bool reflect,
                 float* out) {
  const int64_t before = std::min(columns, std::max<int64_t>(0, -x)), from = x + before;
  const int64_t inside = std::max<int64_t>(0, std::min(a.w - from, columns - before));
  const int64_t after = columns - before - inside;
  for (int64_t row = y; row < y + rows; ++row, out += columns * a.c) {
    const int64_t source = !reflect ? row : row < 0 ? -row : row >= a.h ? 2 * (a.h - 1) - row : row;
    if (source < 0 || source >= a.h) {
      std::memset(out, 0, columns * a.c * sizeof(float));
      continue;
    }
    const float* line = a.image(i) + source * a.w * a.c;
    std::memcpy(out + before * a.c, line + from * a.c, inside * a.c * sizeof(float));
    float* end = out + (before + inside) * a.c;
    if (!reflect) {
      std::memset(out, 0, before * a.c * sizeof(float));
      std::memset(end, 0, after * a.c * sizeof(float));
      continue;
    }
    for (int64_t p = 0; p < before; ++p) std::memcpy(out + p * a.c, line + (before - p) * a.c, a.c * sizeof(float));
    for (int64_t p = 0; p < after; ++p) std::memcpy(end + p * a.c, line + (a.w - 2 - p) * a.c, a.c * sizeof(float));
  }
}

// A kernel's weights [height][width][inputs][channels] in panels of `wide` channels; the weights of an input's next
// neighbour are a `step` away. `scale` has to multiply them and not their sums, as in the published results: the
// rounding shows after a pixel normalisation.
struct Weights {
  const float* data;
  float scale;
  int64_t height, width, inputs, channels, wide, panels, step, panel_step;
  int64_t row() const { return width * inputs; }
  const float* panel(int64_t i) const { return data + i * panel_step; }
};

int64_t panel_width(int64_t channels) { return channels <= kLanes ? kLanes : 2 * kLanes; }

// The weights in place, where the channels fill the panels.
Weights in_place(const float* data, float scale, int64_t height, int64_t width, int64_t inputs, int64_t channels) {
  const int64_t wide = panel_width(channels);
  return {data, scale, height, width, inputs, channels, wide, channels / wide, channels, wide};
}

// The scaled weights, copied into one panel after the other; zeros fill the last. get(y, x) is the first weight of a
// tap, whose `inputs` x `channels` weights have the given steps between neighbours.
template <typename Get>
Weights pack(ffi::ThreadPool& pool, float scale, int64_t height, int64_t width, int64_t inputs, int64_t channels,
             Get get, int64_t input_step, int64_t channel_step) {
  const int64_t wide = panel_width(channels), panels = divide_up(channels, wide), size = height * width * inputs * wide;
  float* out = scratch(kPacked, panels * size);
  parallel_for(pool, height * width, panels * size, [&](int64_t tap) {
    const float* from = get(tap / width, tap % width);
    for (int64_t panel = 0; panel < panels; ++panel) {
      float* to = out + panel * size + tap * inputs * wide;
      const int64_t first = panel * wide, filled = std::min(wide, channels - first);
      for (int64_t i = 0; i < inputs; i += 16)  // one line of the cache
        for (int64_t j = 0; j < wide; ++j)
          for (int64_t k = i; k < std::min(i + 16, inputs); ++k)
            to[k * wide + j] = j < filled ? scale * from[k * input_step + (first + j) * channel_step] : 0.0f;
    }
  });
  return {out, 1.0f, height, width, inputs, channels, wide, panels, wide, size};
}

// The weights of Winograd's F(2x2, 3x3): [4 x 4][panel][inputs][wide].
Weights transform(ffi::ThreadPool& pool, const Weights& kernel) {
  const int64_t size = kernel.panels * kernel.inputs * kernel.wide, tap = kernel.inputs * kernel.step;
  const int64_t blocks = divide_up(kernel.inputs, 16);
  float* out = scratch(kTransformed, 16 * size);
  parallel_for(pool, kernel.panels * blocks, 16 * size, [&](int64_t item) {
    const int64_t panel = item / blocks, first = item % blocks * 16;
    for (int64_t i = first; i < std::min(first + 16, kernel.inputs); ++i)
      for (int64_t j = 0; j < kernel.wide; j += kLanes) {
        Vector rows[4][3];
        for (int x = 0; x < 3; ++x) {
          const float* from = kernel.panel(panel) + x * tap + i * kernel.step + j;
          const Vector scale = broadcast(kernel.scale);
          const Vector a = load(from) * scale, b = load(from + 3 * tap) * scale, c = load(from + 6 * tap) * scale;
          rows[0][x] = a, rows[1][x] = (a + b + c) * 0.5f, rows[2][x] = (a - b + c) * 0.5f, rows[3][x] = c;
        }
        float* to = out + (panel * kernel.inputs + i) * kernel.wide + j;
        for (int y = 0; y < 4; ++y, to += 4 * size) {
          const Vector a = rows[y][0], b = rows[y][1], c = rows[y][2];
          store(to, a), store(to + size, (a + b + c) * 0.5f), store(to + 2 * size, (a - b + c) * 0.5f);
          store(to + 3 * size, c);
        }
      }
  });
  Weights transformed = kernel;
  transformed.data = out, transformed.scale = 1.0f, transformed.height = transformed.width = 4;
  transformed.step = kernel.wide, transformed.panel_step = kernel.inputs * kernel.wide;
  return transformed;
}

struct Epilogue {
  const float* bias = nullptr;  // one per channel, or none
  float slope = 1.0f;           // negative slope of the activation
  bool halve = false;           // whether the mean over blocks of 2x2 pixels follows
};

inline Vector leaky(Vector x, float slope) { return x >= 0 ? x : x * broadcast(slope); }

enum Sums { kPlain, kFinished, kScaled };  // sums alone, with the epilogue, with epilogue and scale

// Sums of a few pixels' neighbours times weights.
template <int Pixels, int Vectors, Sums Kind>
void correlate_tile(const float* const* pixels, int64_t rows, int64_t row, int64_t stride, const float* weights,
                    int64_t step, float scale, const Epilogue& epilogue, float* const* out, int64_t channels) {
  Vector sum[Pixels][Vectors] = {};
  const float* in[Pixels];
  for (int p = 0; p < Pixels; ++p) in[p] = pixels[p];
  for (int64_t y = 0; y < rows; ++y) {
    for (int64_t i = 0; i < row; ++i, weights += step) {
      Vector w[Vectors];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) {
        w[v] = load(weights + v * kLanes);
        if (Kind == kScaled) w[v] *= broadcast(scale);
      }
#pragma GCC unroll 16
      for (int p = 0; p < Pixels; ++p) {
        const Vector x = broadcast(in[p][i]);
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v) sum[p][v] += x * w[v];
      }
    }
#pragma GCC unroll 16
    for (int p = 0; p < Pixels; ++p) in[p] += stride;
  }
  Vector bias[Vectors] = {};
  if (Kind != kPlain && epilogue.bias) std::memcpy(bias, epilogue.bias, channels * sizeof(float));
#pragma GCC unroll 16
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v)
      if (Kind != kPlain) sum[p][v] = leaky(sum[p][v] + bias[v], epilogue.slope);
    if (channels == Vectors * kLanes) {
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) store(out[p] + v * kLanes, sum[p][v]);
    } else {
      std::memcpy(out[p], sum[p], channels * sizeof(float));
    }
  }
}

template <int Vectors, Sums Kind>
void correlate_tiles(int count, const float* const* pixels, float* const* out, int64_t rows, int64_t row,
                     int64_t stride, const float* weights, int64_t step, float scale, const Epilogue& epilogue,
                     int64_t channels) {
  const auto tile = [&](auto size, int p) {
    correlate_tile<decltype(size)::value, Vectors, Kind>(pixels + p, rows, row, stride, weights, step, scale, epilogue,
                                                         out + p, channels);
  };
  if (count == kPixels) return tile(std::integral_constant<int, kPixels>(), 0);
  int p = 0;
  for (; p + 4 <= count; p += 4) tile(std::integral_constant<int, 4>(), p);
  for (; p < count; ++p) tile(std::integral_constant<int, 1>(), p);
}

// Adds the `pad` outermost pixels of an image (h, w, c), which reflect padding copied, to their originals, and drops
// them.
void fold(const float* a, int64_t h, int64_t w, int64_t c, int64_t pad, float* out) {
  const int64_t inside = h - 2 * pad, columns = w - 2 * pad;
  for (int64_t y = 0; y < inside; ++y) {
    float* to = out + y * columns * c;
    std::memset(to, 0, columns * c * sizeof(float));
    const auto add = [&](int64_t row) {
      const float* from = a + row * w * c;
      for (int64_t j = 0; j < columns * c; ++j) to[j] += from[pad * c + j];
      for (int64_t p = 0; p < pad; ++p)
        for (int64_t j = 0; j < c; ++j) {
          to[(pad - p) * c + j] += from[p * c + j];
          to[(columns - 1 - pad + p) * c + j] += from[(w - 1 - p) * c + j];
        }
    };
    const int64_t below = inside - 1 - y;
    add(pad + y);
    if (1 <= y && y <= pad) add(pad - y);
    if (1 <= below && below <= pad) add(pad + inside - 1 + below);
  }
}

// The mean over blocks of 2x2 pixels of `rows` x `columns`, of channels [from, to) of `channels`.
void shrink(const float* a, int64_t rows, int64_t columns, int64_t channels, int64_t from, int64_t to, float* out) {
  for (int64_t y = 0; y < rows / 2; ++y)
    for (int64_t x = 0; x < columns / 2; ++x) {
      const float* above = a + (2 * y * columns + 2 * x) * channels;
      const float* below = above + columns * channels;
      float* mean = out + (y * (columns / 2) + x) * channels;
      for (int64_t j = from; j < to; ++j)
        mean[j] = (above[j] + above[channels + j] + below[j] + below[channels + j]) * 0.25f;
    }
}

// The pixels that a correlation reads and the place of its results. The first result reads from (y, x), which may lie
// outside of the image; its neighbours follow in steps of `stride`.
struct Grid {
  int64_t y, x, stride, rows, columns;
  bool reflect;
  float* out;
  int64_t image_step, row_step, column_step;
  int64_t folded = 0;  // width of a border of the results that `fold` removes from each image
};

// The rows of some images, or some rows of one, for some panels; one window has all that a kernel reads of them.
struct Part {
  int64_t images, top, rows, height, line, panel_begin, panel_end;
  const float* window;
  float* results;
};

void sum_directly(const Images& a, const Weights& kernel, const Grid& grid, const Epilogue& epilogue,
                  const Part& part) {
  for (int64_t panel = part.panel_begin; panel < part.panel_end; ++panel) {
    const int64_t channel = panel * kernel.wide, channels = std::min(kernel.wide, kernel.channels - channel);
    Epilogue mine = epilogue;
    if (mine.bias) mine.bias += channel;
    const auto one = kernel.scale == 1 ? correlate_tiles<1, kFinished> : correlate_tiles<1, kScaled>;
    const auto two = kernel.scale == 1 ? correlate_tiles<2, kFinished> : correlate_tiles<2, kScaled>;
    const auto tiles = kernel.wide == kLanes ? one : two;
    const int64_t pixels = part.images * part.rows * grid.columns;
    int64_t image = 0, y = 0, x = 0, skipped = 0, met = 0;
    const float* source = nullptr;
    float* target = nullptr;
    const auto enter_row = [&] {
      const int64_t from = part.top + y * grid.stride;
      source = part.window + (image * part.height + y * grid.stride) * part.line;
      target = part.results + image * grid.image_step + y * grid.row_step + channel;
      skipped = grid.reflect ? 0 : std::max<int64_t>(0, -from);
      met = grid.reflect ? kernel.height : std::min(kernel.height, a.h - from);
    };
    enter_row();
    for (int64_t start = 0; start < pixels; start += kPixels) {
      const int tile = static_cast<int>(std::min<int64_t>(kPixels, pixels - start));
      // The rows of the kernel that read the image and not only padding.
      int64_t begin = skipped, end = met;
      const float* in[kPixels];
      float* out[kPixels];
      for (int p = 0; p < tile; ++p, ++x, source += a.c * grid.stride, target += grid.column_step) {
        if (x == grid.columns) {
          x = 0;
          if (++y == part.rows) y = 0, ++image;
          enter_row();
          begin = p ? std::min(begin, skipped) : skipped, end = p ? std::max(end, met) : met;
        }
        in[p] = source, out[p] = target;
      }
      end = std::max(begin, end);
      for (int p = 0; p < tile; ++p) in[p] += begin * part.line;
      const float* weights = kernel.panel(panel) + begin * kernel.row() * kernel.step;
      tiles(tile, in, out, end - begin, kernel.row(), part.line, weights, kernel.step, kernel.scale, mine, channels);
    }
  }
}

// Winograd's minimal filtering F(2x2, 3x3): 16 products for four pixels of a 3x3 correlation instead of 36.
void sum_by_winograd(const Images& a, const Weights& kernel, const Grid& grid, const Epilogue& epilogue,
                     const Part& part) {
  const int64_t down = divide_up(part.rows, 2), across = divide_up(grid.columns, 2);
  const int64_t count = part.images * down * across;
  const int64_t inputs = kernel.inputs, channels = kernel.channels;
  float* tiles = scratch(kTiles, 16 * count * inputs);  // [4 x 4][tile][inputs]
  for (int64_t i = 0, tile = 0; i < part.images; ++i)
    for (int64_t y = 0; y < down; ++y)
      for (int64_t x = 0; x < across; ++x, ++tile) {
        const float* from = part.window + (i * part.height + 2 * y) * part.line + 2 * x * inputs;
        for (int64_t c = 0; c < inputs; c += kLanes) {
          Vector rows[4][4];
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) {
            const float* column = from + j * inputs + c;
            const Vector p = load(column), q = load(column + part.line);
            const Vector r = load(column + 2 * part.line), s = load(column + 3 * part.line);
            rows[0][j] = p - r, rows[1][j] = q + r, rows[2][j] = r - q, rows[3][j] = q - s;
          }
          float* to = tiles + tile * inputs + c;
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j, to += 4 * count * inputs) {
            const Vector p = rows[j][0], q = rows[j][1], r = rows[j][2], s = rows[j][3];
            store(to, p - r), store(to + count * inputs, q + r);
            store(to + 2 * count * inputs, r - q), store(to + 3 * count * inputs, q - s);
          }
        }
      }
  float* products = scratch(kProducts, 16 * count * channels);  // [4 x 4][tile][channels]
  const auto multiply = kernel.wide == kLanes ? correlate_tiles<1, kPlain> : correlate_tiles<2, kPlain>;
  for (int64_t k = 0; k < 16; ++k)
    for (int64_t panel = 0; panel < kernel.panels; ++panel) {
      const float* weights = kernel.data + (k * kernel.panels + panel) * inputs * kernel.wide;
      const int64_t width = std::min(kernel.wide, channels - panel * kernel.wide);
      for (int64_t start = 0; start < count; start += kPixels) {
        const int some = static_cast<int>(std::min<int64_t>(kPixels, count - start));
        const float* in[kPixels];
        float* out[kPixels];
        for (int p = 0; p < some; ++p) {
          in[p] = tiles + (k * count + start + p) * inputs;
          out[p] = products + (k * count + start + p) * channels + panel * kernel.wide;
        }
        multiply(some, in, out, 1, inputs, 0, weights, kernel.wide, 1.0f, epilogue, width);
      }
    }
  for (int64_t i = 0, tile = 0; i < part.images; ++i)
    for (int64_t y = 0; y < down; ++y)
      for (int64_t x = 0; x < across; ++x, ++tile) {
        float* to = part.results + i * grid.image_step + 2 * y * grid.row_step + 2 * x * grid.column_step;
        const bool below = 2 * y + 1 < part.rows, beside = 2 * x + 1 < grid.columns;
        for (int64_t c = 0; c < channels; c += kLanes) {
          Vector rows[2][4];
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j) {
            const float* from = products + (j * count + tile) * channels + c;
            const int64_t step = 4 * count * channels;
            const Vector p = load(from), q = load(from + step), r = load(from + 2 * step), s = load(from + 3 * step);
            rows[0][j] = p + q + r, rows[1][j] = q - r - s;
          }
          const Vector bias = epilogue.bias ? load(epilogue.bias + c) : Vector{};
#pragma GCC unroll 2
          for (int j = 0; j < 2; ++j) {
            if (j && !below) break;
            const Vector p = rows[j][0], q = rows[j][1], r = rows[j][2], s = rows[j][3];
            store(to + j * grid.row_step + c, leaky(p + q + r + bias, epilogue.slope));
            if (beside) store(to + j * grid.row_step + grid.column_step + c, leaky(q - r - s + bias, epilogue.slope));
          }
        }
      }
}

// Winograd's form is faster where many pixels share the transformed weights.
bool suits_winograd(int64_t height, int64_t width, int64_t inputs, int64_t channels, int64_t stride, int64_t pixels) {
  return height == 3 && width == 3 && stride == 1 && inputs % kLanes == 0 && channels % kLanes == 0 &&
         pixels >= kManyPixels;
}

void correlate(ffi::ThreadPool& pool, const Images& a, const Weights& given, const Grid& grid,
               const Epilogue& epilogue) {
  const int64_t threads = std::max<int64_t>(1, pool.num_threads()), all = a.n * grid.rows * grid.columns;
  if (!all) return;
  const bool winograd = suits_winograd(given.height, given.width, given.inputs, given.channels, grid.stride, all);
  const Weights kernel = winograd ? transform(pool, given) : given;
  const int64_t even = winograd || epilogue.halve ? 2 : 1;
  const int64_t columns = (divide_up(grid.columns, even) * even - 1) * grid.stride + given.width, line = columns * a.c;
  // A part has several small images, so that each panel of weights is read once for all, or rows of a large image. With
  // few pixels it has all images and some panels, so that a thread reads only its own weights.
  const bool by_panel = all <= kFewPixels && kernel.panels > 1 && !winograd && !grid.folded;
  const int64_t pixels =
      winograd ? 4 * std::max(kFewTiles, kCached / 8 / (kernel.inputs + kernel.channels)) : kCached / a.c;
  const int64_t size = grid.rows * grid.columns * (winograd ? 1 : grid.stride * grid.stride);
  const int64_t group = by_panel ? a.n : std::clamp<int64_t>(pixels / size, 1, divide_up(a.n, 2 * threads));
  int64_t rows = grid.rows;
  if (group == 1 && !grid.folded && !by_panel) {
    rows = std::min(rows, pixels / columns / grid.stride);
    if (a.n < 2 * threads) rows = std::min(rows, grid.rows * a.n / (4 * threads));
    rows = std::max(rows / even * even, even);
  }
  const int64_t parts = divide_up(grid.rows, rows), shares = by_panel ? std::min(2 * threads, kernel.panels) : 1;
  parallel_for(pool, divide_up(a.n, group) * parts * shares, kWorthwhile, [&](int64_t item) {
    const int64_t share = item % shares, place = item / shares;
    const int64_t first = place / parts * group, images = std::min(group, a.n - first);
    const int64_t row = place % parts * rows, count = std::min(rows, grid.rows - row);
    const int64_t top = grid.y + row * grid.stride;
    const int64_t height = (divide_up(count, even) * even - 1) * grid.stride + given.height;
    float* window = scratch(kWindow, images * height * line);
    for (int64_t i = 0; i < images; ++i)
      copy_window(a, first + i, top, height, grid.x, columns, grid.reflect, window + i * height * line);
    const int64_t h = grid.rows, w = grid.columns, f = grid.folded, c = kernel.channels;
    Part part = {images, top, count, height, line, kernel.panels * share / shares, kernel.panels * (share + 1) / shares,
                 window};
    Grid target = grid;  // of this part alone where its results are intermediate
    if (epilogue.halve) target.image_step = count * w * c;
    const bool last = !f && !epilogue.halve;
    part.results = last ? grid.out + first * grid.image_step + row * grid.row_step
                        : scratch(kResults, images * target.image_step);
    (winograd ? sum_by_winograd : sum_directly)(a, kernel, target, epilogue, part);
    for (int64_t i = 0; i < images && !last; ++i) {
      const float* results = part.results + i * target.image_step;
      if (f) fold(results, h, w, c, f, grid.out + (first + i) * (h - 2 * f) * (w - 2 * f) * c);
      else
        shrink(results, count, w, c, part.panel_begin * kernel.wide, std::min(c, part.panel_end * kernel.wide),
               grid.out + ((first + i) * (h / 2) + row / 2) * (w / 2) * c);
    }
  });
}

// The sums of the filter gradient: over pixels of a window of the image and of the gradient, a step apart.
struct Stretch {
  const float *x, *g;
  int64_t rows, columns, x_row, x_column, g_row, g_column;
};

template <int Values, int Vectors>
void outer_tile(const Stretch& a, float* sums) {
  constexpr int wide = Vectors * kLanes;
  Vector sum[Values][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Values; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) sum[i][v] = load(sums + i * wide + v * kLanes);
  for (int64_t row = 0; row < a.rows; ++row) {
    const float *x = a.x + row * a.x_row, *g = a.g + row * a.g_row;
    for (int64_t column = 0; column < a.columns; ++column, x += a.x_column, g += a.g_column) {
      Vector by[Vectors];
#pragma GCC unroll 2
      for (int v = 0; v < Vectors; ++v) by[v] = load(g + v * kLanes);
#pragma GCC unroll 16
      for (int i = 0; i < Values; ++i) {
        const Vector value = broadcast(x[i]);
#pragma GCC unroll 2
        for (int v = 0; v < Vectors; ++v) sum[i][v] += value * by[v];
      }
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < Values; ++i)
#pragma GCC unroll 2
    for (int v = 0; v < Vectors; ++v) store(sums + i * wide + v * kLanes, sum[i][v]);
}

template <int Vectors, int Values = kValues>
void outer_tiles(int values, const Stretch& a, float* sums) {
  if constexpr (Values > 0) {
    if (values == Values) return outer_tile<Values, Vectors>(a, sums);
    outer_tiles<Vectors, Values - 1>(values, a, sums);
  }
}

void filter_gradient(ffi::ThreadPool& pool, const Images& x, const Images& g, int64_t k, int64_t stride, int64_t pad,
                     bool reflect, float* out) {
  const int64_t wide = panel_width(g.c), panels = divide_up(g.c, wide), taps = k * k * x.c, size = panels * taps * wide;
  const int64_t threads = std::max<int64_t>(1, pool.num_threads()), columns = (g.w - 1) * stride + k,
                line = columns * x.c;
  // Each thread takes some images, and their sums are added; or some panels, where the kernel is large.
  const bool by_image = size <= kCached * 4 || panels < threads;
  const int64_t workers = std::min(threads, by_image ? x.n : panels), copies = by_image ? workers : 1;
  const int64_t rows = std::clamp<int64_t>(kStretch / g.w, 1, g.h);
  const int64_t group = rows == g.h ? std::max<int64_t>(1, kStretch / (g.h * g.w)) : 1;
  float* sums = scratch(kSums, copies * size);
  std::memset(sums, 0, copies * size * sizeof(float));
  parallel_for(pool, workers, kWorthwhile, [&](int64_t worker) {
    const auto share = [&](int64_t all, bool mine) {
      return std::pair(mine ? all * worker / workers : 0, mine ? all * (worker + 1) / workers : all);
    };
    const auto [image_begin, image_end] = share(x.n, by_image);
    const auto [panel_begin, panel_end] = share(panels, !by_image);
    float* mine = sums + (by_image ? worker * size : 0);
    for (int64_t first = image_begin; first < image_end; first += group) {
      const int64_t images = std::min(group, image_end - first);
      for (int64_t row = 0; row < g.h; row += rows) {
        const int64_t count = std::min(rows, g.h - row), height = (count - 1) * stride + k;
        float* window = scratch(kWindow, images * height * line);
        for (int64_t i = 0; i < images; ++i)
          copy_window(x, first + i, row * stride - pad, height, -pad, columns, reflect, window + i * height * line);
        const float* gradient = g.image(first) + row * g.w * g.c;
        int64_t step = g.c, image_step = g.h * g.w * g.c;
        if (g.c % wide) {  // pads the channels to a whole panel
          step = panels * wide, image_step = count * g.w * step;
          float* filled = scratch(kResults, images * image_step);
          std::memset(filled, 0, images * image_step * sizeof(float));
          for (int64_t i = 0; i < images; ++i)
            for (int64_t p = 0; p < count * g.w; ++p)
              std::memcpy(filled + i * image_step + p * step, gradient + i * g.h * g.w * g.c + p * g.c,
                          g.c * sizeof(float));
          gradient = filled;
        }
        for (int64_t panel = panel_begin; panel < panel_end; ++panel)
          for (int64_t y = 0; y < k; ++y)
            for (int64_t i = 0; i < k * x.c; i += kValues)
              for (int64_t image = 0; image < images; ++image) {
                const Stretch stretch = {window + (image * height + y) * line + i,
                                         gradient + image * image_step + panel * wide,
                                         count,
                                         g.w,
                                         stride * line,
                                         stride * x.c,
                                         g.w * step,
                                         step};
                const auto tiles = wide == kLanes ? outer_tiles<1, kValues> : outer_tiles<2, kValues>;
                tiles(static_cast<int>(std::min<int64_t>(kValues, k * x.c - i)), stretch,
                      mine + (panel * taps + y * k * x.c + i) * wide);
              }
      }
    }
  });
  parallel_for(pool, k, k * k * x.c * g.c, [&](int64_t y) {
    for (int64_t tap = y * k * x.c; tap < (y + 1) * k * x.c; ++tap)
      for (int64_t channel = 0; channel < g.c; ++channel) {
        const float* from = sums + (channel / wide * taps + tap) * wide + channel % wide;
        float sum = 0.0f;
        for (int64_t copy = 0; copy < copies; ++copy) sum += from[copy * size];
        out[tap * g.c + channel] = sum;
      }
  });
}

using Buffer = ffi::Buffer<ffi::F32, 4>;
using Bias = ffi::Buffer<ffi::F32, 1>;
using Result = ffi::Result<Buffer>;

Images images_of(const Buffer& a) {
  const auto s = a.dimensions();
  return {a.typed_data(), s[0], s[1], s[2], s[3]};
}

ffi::Error Convolution(ffi::ThreadPool pool, Buffer x, Buffer kernel, Bias bias, Result y, int64_t stride, int64_t pad,
                       bool reflect, float scale, float slope, bool halve) {
  const auto s = kernel.dimensions(), t = y->dimensions();
  const int64_t rows = t[1] * (halve ? 2 : 1), columns = t[2] * (halve ? 2 : 1), pixels = t[0] * rows * columns;
  const float* weights = kernel.typed_data();
  const auto tap = [&](int64_t i, int64_t j) { return weights + (i * s[1] + j) * s[2] * s[3]; };
  // The weights are copied where many pixels read them.
  const bool few = pixels <= kFewPixels || suits_winograd(s[0], s[1], s[2], s[3], stride, pixels);
  const Weights given = few && s[3] % panel_width(s[3]) == 0 ? in_place(weights, scale, s[0], s[1], s[2], s[3])
                                                             : pack(pool, scale, s[0], s[1], s[2], s[3], tap, s[3], 1);
  const Grid grid = {-pad,           -pad, stride, rows, columns, reflect, y->typed_data(), rows * columns * s[3],
                     columns * s[3], s[3]};
  correlate(pool, images_of(x), given, grid, {bias.element_count() ? bias.typed_data() : nullptr, slope, halve});
  return ffi::Error::Success();
}

// A pixel meets every `stride`-th weight of the kernel from its phase on. So one correlation of the gradient per phase,
// with a part of the kernel rotated by 180 degrees, gives all pixels.
ffi::Error InputGradient(ffi::ThreadPool pool, Buffer g, Buffer kernel, Result dx, int64_t stride, int64_t pad,
                         bool reflect) {
  const auto s = kernel.dimensions(), t = dx->dimensions();
  const int64_t k = s[0], c = t[3], folded = reflect ? pad : 0, shift = pad - folded;
  const int64_t h = t[1] + 2 * folded, w = t[2] + 2 * folded;
  for (int64_t a = 0; a < stride; ++a)
    for (int64_t b = 0; b < stride; ++b) {
      const int64_t rows = divide_up(k - a, stride), columns = divide_up(k - b, stride);
      const int64_t top = divide_up(std::max<int64_t>(0, shift - a), stride), y = a + top * stride - shift;
      const int64_t left = divide_up(std::max<int64_t>(0, shift - b), stride), x = b + left * stride - shift;
      const auto tap = [&, weights = kernel.typed_data()](int64_t i, int64_t j) {
        return weights + ((a + (rows - 1 - i) * stride) * k + b + (columns - 1 - j) * stride) * s[2] * s[3];
      };
      const Weights turned = pack(pool, 1.0f, rows, columns, s[3], s[2], tap, 1, s[3]);
      const int64_t down = divide_up(h - y, stride), across = divide_up(w - x, stride);
      float* first = dx->typed_data() + (y * w + x) * c;
      const Grid grid = {top - (rows - 1), left - (columns - 1), 1, down, across, false, first,
                         h * w * c, stride * w * c, stride * c, folded};
      correlate(pool, images_of(g), turned, grid, {});
    }
  return ffi::Error::Success();
}

ffi::Error FilterGradient(ffi::ThreadPool pool, Buffer x, Buffer g, Result dw, int64_t stride, int64_t pad,
                          bool reflect) {
  filter_gradient(pool, images_of(x), images_of(g), dw->dimensions()[0], stride, pad, reflect, dw->typed_data());
  return ffi::Error::Success();
}

auto gradient() {
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Buffer>().Arg<Buffer>().Ret<Buffer>()
      .Attr<int64_t>("stride").Attr<int64_t>("pad").Attr<bool>("reflect");
}

auto convolution() {
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Buffer>().Arg<Buffer>().Arg<Bias>().Ret<Buffer>()
      .Attr<int64_t>("stride").Attr<int64_t>("pad").Attr<bool>("reflect")
      .Attr<float>("scale").Attr<float>("slope").Attr<bool>("halve");
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(GanfpConvolution, Convolution, convolution());
XLA_FFI_DEFINE_HANDLER_SYMBOL(GanfpInputGradient, InputGradient, gradient());
XLA_FFI_DEFINE_HANDLER_SYMBOL(GanfpFilterGradient, FilterGradient, gradient());
