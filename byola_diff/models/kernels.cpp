// Operations of training on a CPU that go through memory as few times as they can.
//
// Arithmetic is in float32 (sums over clips in float64), whatever the type of the values. Sums are
// taken clip by clip and then added in the order of the clips, so that results do not depend on the
// number of threads.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

// float32 as it is; bfloat16 as its upper half, rounded to nearest even.
struct Float32 {
  float bits;
  float value() const { return bits; }
  static Float32 of(float value) { return {value}; }
};

struct BFloat16 {
  uint16_t bits;
  float value() const {
    const uint32_t wide = uint32_t(bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
  }
  static BFloat16 of(float value) {
    uint32_t wide;
    std::memcpy(&wide, &value, 4);
    const uint32_t rounded = (wide + 0x7fff + ((wide >> 16) & 1)) >> 16;
    const uint32_t quiet_nan = (wide >> 16) | 0x40;
    return {uint16_t((wide & 0x7fffffff) > 0x7f800000 ? quiet_nan : rounded)};
  }
};

// ---- Batch normalisation by batch statistics, ReLU and 2 x 2 max-pooling of maps that lie as
// [clip, mel, frame, channel].

// Which of the four pixels under an output is the largest; none where the output is 0.
constexpr uint8_t NONE = 4;

struct Shape {
  int64_t clips, mels, frames, channels;
  int64_t clip_size() const { return mels * frames * channels; }
  int64_t pooled_size() const { return (mels / 2) * (frames / 2) * channels; }
  int64_t pixel(int64_t mel, int64_t frame) const { return (mel * frames + frame) * channels; }
};

// Sums over all rows of all clips of what `add_row(clip, row, sums)` adds to float32 sums.
template <typename AddRow>
std::vector<double> sum_rows(int64_t clips, int64_t rows, int64_t width, AddRow add_row) {
  std::vector<double> parts(clips * width), sums(width);
#pragma omp parallel for schedule(static)
  for (int64_t clip = 0; clip < clips; ++clip) {
    std::vector<float> of_row(width);
    for (int64_t row = 0; row < rows; ++row) {
      std::fill(of_row.begin(), of_row.end(), 0.0f);
      add_row(clip, row, of_row.data());
      for (int64_t column = 0; column < width; ++column)
        parts[clip * width + column] += of_row[column];
    }
  }
  for (int64_t clip = 0; clip < clips; ++clip)
    for (int64_t column = 0; column < width; ++column) sums[column] += parts[clip * width + column];
  return sums;
}

template <typename T>
void take_statistics(const T* maps, Shape shape, float* mean, float* variance) {
  const int64_t channels = shape.channels;
  // Squares are of the distance to the mean of the first clip: those of a large mean would cancel.
  std::vector<double> first(channels);
  for (int64_t at = 0; at < shape.clip_size(); at += channels)
    for (int64_t c = 0; c < channels; ++c) first[c] += maps[at + c].value();
  std::vector<float> pivots(channels);
  for (int64_t c = 0; c < channels; ++c)
    pivots[c] = float(first[c] * channels / shape.clip_size());
  const float* pivot = pivots.data();
  const auto sums = sum_rows(
      shape.clips, shape.mels, 2 * channels, [=](int64_t clip, int64_t mel, float* sum) {
        float* squares = sum + channels;
        for (int64_t frame = 0; frame < shape.frames; ++frame) {
          const T* x = maps + clip * shape.clip_size() + shape.pixel(mel, frame);
#pragma omp simd
          for (int64_t c = 0; c < channels; ++c) {
            const float distance = x[c].value() - pivot[c];
            sum[c] += distance;
            squares[c] += distance * distance;
          }
        }
      });
  const double count = double(shape.clips) * shape.mels * shape.frames;
  for (int64_t c = 0; c < channels; ++c) {
    const double shifted = sums[c] / count;
    mean[c] = float(shifted + pivot[c]);
    variance[c] = float(std::max(sums[channels + c] / count - shifted * shifted, 0.0));
  }
}

// `output`, and for the way back the largest of each four values and which of them it is.
template <typename T>
void pool(const T* maps, Shape shape, const float* scale, const float* shift, T* output, T* largest,
          uint8_t* which) {
  const int64_t channels = shape.channels;
#pragma omp parallel for schedule(static)
  for (int64_t clip = 0; clip < shape.clips; ++clip) {
    const T* x = maps + clip * shape.clip_size();
    int64_t place = clip * shape.pooled_size();
    for (int64_t mel = 0; mel + 1 < shape.mels; mel += 2) {
      for (int64_t frame = 0; frame + 1 < shape.frames; frame += 2, place += channels) {
        const T *x0 = x + shape.pixel(mel, frame), *x1 = x0 + channels;
        const T *x2 = x + shape.pixel(mel + 1, frame), *x3 = x2 + channels;
        T *y = output + place, *kept = largest + place;
        uint8_t* index = which + place;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
          const float sign = scale[c] < 0 ? -1.0f : 1.0f;
          const float v0 = x0[c].value() * sign, v1 = x1[c].value() * sign;
          const float v2 = x2[c].value() * sign, v3 = x3[c].value() * sign;
          const float upper = v1 > v0 ? v1 : v0, lower = v3 > v2 ? v3 : v2;
          const int upper_index = v1 > v0 ? 1 : 0, lower_index = v3 > v2 ? 3 : 2;
          const float top = (lower > upper ? lower : upper) * sign;
          const int top_index = lower > upper ? lower_index : upper_index;
          const float normed = scale[c] * top + shift[c];
          y[c] = T::of(normed < 0 ? 0.0f : normed);
          kept[c] = T::of(top);
          index[c] = uint8_t(normed > 0 ? top_index : NONE);
        }
      }
    }
  }
}

// Sums over all outputs of the gradient, and of the gradient times the value that it belongs to.
template <typename T>
void sum_gradients(const T* gradient, const T* largest, const uint8_t* which, Shape shape,
                   double* sums) {
  const int64_t channels = shape.channels, row_size = (shape.frames / 2) * channels;
  const auto found = sum_rows(
      shape.clips, shape.mels / 2, 2 * channels, [=](int64_t clip, int64_t mel, float* sum) {
        float* products = sum + channels;
        const int64_t start = clip * shape.pooled_size() + mel * row_size;
        for (int64_t place = start; place < start + row_size; place += channels) {
          const T *g = gradient + place, *x = largest + place;
          const uint8_t* index = which + place;
#pragma omp simd
          for (int64_t c = 0; c < channels; ++c) {
            const float flowing = index[c] == NONE ? 0.0f : g[c].value();
            sum[c] += flowing;
            products[c] += flowing * x[c].value();
          }
        }
      });
  std::copy(found.begin(), found.end(), sums);
}

// slope * x + offset for every value x, and scale * gradient more for the largest of each four.
template <typename T>
void spread(const T* maps, const T* gradient, const uint8_t* which, Shape shape, const float* scale,
            const float* slope, const float* offset, T* output) {
  const int64_t channels = shape.channels, half_frames = shape.frames / 2;
#pragma omp parallel for schedule(static)
  for (int64_t clip = 0; clip < shape.clips; ++clip) {
    const int64_t clip_start = clip * shape.clip_size(), pooled = clip * shape.pooled_size();
    for (int64_t mel = 0; mel < shape.mels; ++mel) {
      for (int64_t frame = 0; frame < shape.frames; ++frame) {
        const int64_t at = clip_start + shape.pixel(mel, frame);
        const T* x = maps + at;
        T* out = output + at;
        if (mel / 2 >= shape.mels / 2 || frame / 2 >= half_frames) {
#pragma omp simd
          for (int64_t c = 0; c < channels; ++c) out[c] = T::of(slope[c] * x[c].value() + offset[c]);
          continue;
        }
        const int64_t place = pooled + ((mel / 2) * half_frames + frame / 2) * channels;
        const T* g = gradient + place;
        const uint8_t *index = which + place, here = uint8_t((mel & 1) * 2 + (frame & 1));
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
          const float share = index[c] == here ? scale[c] * g[c].value() : 0.0f;
          out[c] = T::of(slope[c] * x[c].value() + offset[c] + share);
        }
      }
    }
  }
}

// ---- Mean over frames plus maximum over frames of [clip, frame, dim].

template <typename T>
void mean_max(const T* frames, int64_t clips, int64_t n_frames, int64_t dim, float* output,
              uint8_t* which) {
#pragma omp parallel for schedule(static)
  for (int64_t clip = 0; clip < clips; ++clip) {
    std::vector<float> sum(dim, 0.0f), top(dim);
    uint8_t* index = which + clip * dim;
    std::memset(index, 0, dim);
    for (int64_t frame = 0; frame < n_frames; ++frame) {
      const T* x = frames + (clip * n_frames + frame) * dim;
#pragma omp simd
      for (int64_t d = 0; d < dim; ++d) {
        const float value = x[d].value();
        const bool above = frame == 0 || value > top[d];  // the first of equal values
        sum[d] += value;
        top[d] = above ? value : top[d];
        index[d] = above ? uint8_t(frame) : index[d];
      }
    }
    for (int64_t d = 0; d < dim; ++d) output[clip * dim + d] = sum[d] / n_frames + top[d];
  }
}

template <typename T>
void mean_max_back(const float* gradient, const uint8_t* which, int64_t clips, int64_t n_frames,
                   int64_t dim, T* output) {
  const float share = 1.0f / n_frames;
#pragma omp parallel for schedule(static)
  for (int64_t clip = 0; clip < clips; ++clip) {
    const float* g = gradient + clip * dim;
    const uint8_t* index = which + clip * dim;
    for (int64_t frame = 0; frame < n_frames; ++frame) {
      T* out = output + (clip * n_frames + frame) * dim;
#pragma omp simd
      for (int64_t d = 0; d < dim; ++d)
        out[d] = T::of(g[d] * share + (index[d] == frame ? g[d] : 0.0f));
    }
  }
}

// ---- Dropout by 16 random bits for each value: those below the threshold are dropped.

template <typename T>
void scale_kept(const T* values, const int16_t* bits, int64_t count, int64_t threshold, float scale,
                T* output) {
#pragma omp parallel for simd schedule(static)
  for (int64_t i = 0; i < count; ++i)
    output[i] = T::of(bits[i] >= threshold ? values[i].value() * scale : 0.0f);
}

}  // namespace

#define FOR_TYPE(T, SUFFIX)                                                                        \
  void statistics_##SUFFIX(const T* maps, const int64_t* sizes, float* mean, float* variance) {    \
    take_statistics(maps, {sizes[0], sizes[1], sizes[2], sizes[3]}, mean, variance);               \
  }                                                                                                \
  void pool_##SUFFIX(const T* maps, const int64_t* sizes, const float* scale, const float* shift,  \
                     T* output, T* largest, uint8_t* which) {                                      \
    pool(maps, {sizes[0], sizes[1], sizes[2], sizes[3]}, scale, shift, output, largest, which);    \
  }                                                                                                \
  void sums_##SUFFIX(const T* gradient, const T* largest, const uint8_t* which,                    \
                     const int64_t* sizes, double* sums) {                                         \
    sum_gradients(gradient, largest, which, {sizes[0], sizes[1], sizes[2], sizes[3]}, sums);       \
  }                                                                                                \
  void spread_##SUFFIX(const T* maps, const T* gradient, const uint8_t* which,                     \
                       const int64_t* sizes, const float* scale, const float* slope,               \
                       const float* offset, T* output) {                                           \
    spread(maps, gradient, which, {sizes[0], sizes[1], sizes[2], sizes[3]}, scale, slope, offset,  \
           output);                                                                                \
  }                                                                                                \
  void mean_max_##SUFFIX(const T* frames, const int64_t* sizes, float* output, uint8_t* which) {   \
    mean_max(frames, sizes[0], sizes[1], sizes[2], output, which);                                 \
  }                                                                                                \
  void mean_max_back_##SUFFIX(const float* gradient, const uint8_t* which, const int64_t* sizes,   \
                              T* output) {                                                         \
    mean_max_back(gradient, which, sizes[0], sizes[1], sizes[2], output);                          \
  }                                                                                                \
  void scale_kept_##SUFFIX(const T* values, const int16_t* bits, const int64_t* sizes,             \
                           const float* scale, T* output) {                                        \
    scale_kept(values, bits, sizes[0], sizes[1], *scale, output);                                  \
  }

extern "C" {
FOR_TYPE(Float32, float32)
FOR_TYPE(BFloat16, bfloat16)
int max_threads() { return omp_get_max_threads(); }
}
