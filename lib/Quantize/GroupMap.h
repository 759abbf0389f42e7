//===- GroupMap.h - Channels, groups and orders --------------------*- C++ -*-//
//
// Per-embedding groups (quantization.md 5): which channel is in which group,
// and the order of channels in which the groups are neighbours. Plain
// arithmetic.
//
//===----------------------------------------------------------------------===//
#ifndef QUERN_LIB_QUANTIZE_GROUPMAP_H
#define QUERN_LIB_QUANTIZE_GROUPMAP_H

#include <cstddef>
#include <cstdint>
#include <vector>

namespace quern {

/// Position to channel: a permutation.
using Order = std::vector<int64_t>;

/// The attribute of a tq.observe whose channels tq-order-channels moved:
/// column i is channel order[i] of the imported model.
inline constexpr char channelOrderName[] = "tq.order";

/// The attributes of a tq.observe that tq-reparameterize has changed: what it
/// sees is (x - shift) / scale, by column.
inline constexpr char channelScaleName[] = "tq.channel_scale";
inline constexpr char channelShiftName[] = "tq.channel_shift";

/// The group of each of `channels` neighbours: group g has
/// [g * channels / groups, (g + 1) * channels / groups).
std::vector<int64_t> equalGroups(size_t channels, size_t groups);

/// Groups of equal size of channels by width, the narrowest channels in group
/// 0; equal widths stay in order.
std::vector<int64_t> groupsByWidth(const std::vector<double> &widths,
                                   size_t groups);

/// Groups of channels by width, the narrowest in group 0, with sizes that make
/// the sum over channels of the squared width of their group's widest channel
/// least: a few channels of outliers get groups of their own. Every group has
/// a channel; `groups` is at most the number of channels. Sizes are multiples
/// of `unit`, which divides the number of channels.
std::vector<int64_t> fittedGroups(const std::vector<double> &widths,
                                  size_t groups, size_t unit = 1);

/// The unit of groups that a product reads: its loop takes 16 columns a turn,
/// and what two groups share is stored and multiplied for both. Less where
/// groups would have fewer than four units on average.
size_t fittingUnit(size_t channels, size_t groups);

/// Channels by group; within a group they stay in order.
Order groupOrder(const std::vector<int64_t> &groupOf);

Order identityOrder(size_t channels);
bool isIdentity(const Order &order);

/// What takes channels from one order to another: position i of the result is
/// position result[i] before.
Order reorderFrom(const Order &from, const Order &to);

/// The groups in vectors of scale and zero point by channel: channels of one
/// pair are one group, in the order in which they are first seen.
struct RecoveredGroups {
  std::vector<int64_t> groupOf;
  std::vector<float> scales;
  std::vector<int64_t> zeros;
};
RecoveredGroups recoverGroups(const std::vector<float> &scales,
                              const std::vector<int64_t> &zeros);

/// Codes of groups read with one scale and zero point, and what brings such a
/// value x~ back: x = x~ * channelScale[j] + channelShift[j]. The codes are the
/// same: round(x~ / scale) + zero = round(x / s_g) + z_g.
struct FoldedGroups {
  double scale = 1;
  int64_t zero = 0;
  std::vector<float> channelScale, channelShift;
};

/// The scale is the power of two next to the geometric mean over channels, so
/// that the channel scales are exact, the zero point the mean one, rounded
/// (quantization.md 8.3: an integer, or the codes would be none).
FoldedGroups foldGroups(const std::vector<int64_t> &groupOf,
                        const std::vector<float> &scales,
                        const std::vector<int64_t> &zeros);

} // namespace quern

#endif // QUERN_LIB_QUANTIZE_GROUPMAP_H
