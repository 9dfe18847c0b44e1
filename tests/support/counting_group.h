/// A group that notes what goes through it and through the groups split from it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "comm/group.h"

namespace moe::testing {

struct Traffic {
  std::int64_t calls = 0;
  std::int64_t bytes = 0;  ///< of buffers that are summed; of rows that other ranks get
};
/// By "purpose operation". Of one rank.
using TrafficTable = std::map<std::string, Traffic>;

class CountingGroup final : public comm::Group {
 public:
  /// Both outlive this object and every group split from it.
  CountingGroup(comm::Group& group, TrafficTable& table) : group_(group), table_(table) {}
  CountingGroup(std::unique_ptr<comm::Group> group, TrafficTable& table)
      : owned_(std::move(group)), group_(*owned_), table_(table) {}

  int rank() const override { return group_.rank(); }
  int size() const override { return group_.size(); }
  const std::string& purpose() const override { return group_.purpose(); }

  comm::Work all_reduce_sum(const View& buffer) override {
    note("sum", buffer.bytes());
    return group_.all_reduce_sum(buffer);
  }
  comm::Work all_reduce_max(const View& buffer) override {
    note("max", buffer.bytes());
    return group_.all_reduce_max(buffer);
  }
  comm::Work reduce_scatter_sum(const View& input, const View& output) override {
    note("reduce_scatter", input.bytes());
    return group_.reduce_scatter_sum(input, output);
  }
  comm::Work all_gather(const View& input, const View& output) override {
    note("all_gather", output.bytes());
    return group_.all_gather(input, output);
  }
  comm::Work broadcast(const View& buffer, int root) override {
    note("broadcast", buffer.bytes());
    return group_.broadcast(buffer, root);
  }
  comm::Work all_to_all(const View& send, std::span<const std::int64_t> send_rows,
                        const View& receive,
                        std::span<const std::int64_t> receive_rows) override {
    std::int64_t others = 0;
    std::int64_t rows = 0;
    for (int peer = 0; peer < size(); ++peer) {
      const std::int64_t count = send_rows[static_cast<std::size_t>(peer)];
      rows += count;
      if (peer != rank()) others += count;
    }
    note("all_to_all", rows == 0 ? 0 : send.bytes() / rows * others);
    return group_.all_to_all(send, send_rows, receive, receive_rows);
  }
  comm::Work barrier() override { return group_.barrier(); }

  std::unique_ptr<comm::Group> split(int color, const std::string& purpose) override {
    std::unique_ptr<comm::Group> part = group_.split(color, purpose);
    if (!part) return nullptr;
    return std::make_unique<CountingGroup>(std::move(part), table_);
  }

 private:
  void note(const char* operation, std::int64_t bytes) {
    Traffic& traffic = table_[purpose() + " " + operation];
    ++traffic.calls;
    traffic.bytes += bytes;
  }

  std::unique_ptr<comm::Group> owned_;
  comm::Group& group_;
  TrafficTable& table_;
};

}  // namespace moe::testing
