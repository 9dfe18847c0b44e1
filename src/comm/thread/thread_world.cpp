#include "comm/thread/thread_world.h"

#include <mutex>
#include <numeric>
#include <vector>

#include "base/check.h"
#include "comm/thread/channel.h"
#include "comm/transport_group.h"

namespace moe::comm {

// All channels of a world, so that one failure reaches every group.
struct ThreadWorld::Members {
  std::mutex mutex;
  std::vector<std::weak_ptr<Channel>> channels;
  std::shared_ptr<Channel> world;
  bool aborted = false;
  std::string reason;

  std::shared_ptr<Channel> add(std::vector<int> world_ranks, double timeout_seconds) {
    auto channel = std::make_shared<Channel>(std::move(world_ranks), timeout_seconds);
    const std::lock_guard lock(mutex);
    if (aborted) channel->abort(reason);
    std::erase_if(channels, [](const auto& weak) { return weak.expired(); });
    channels.push_back(channel);
    return channel;
  }
};

namespace {

class ThreadTransport : public Transport {
 public:
  ThreadTransport(std::shared_ptr<ThreadWorld::Members> members, std::shared_ptr<Channel> channel,
                  int rank)
      : members_(std::move(members)), channel_(std::move(channel)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return channel_->size(); }
  int world_rank(int member) const override { return channel_->world_rank(member); }
  void exchange(std::span<const SendPart> send, std::span<const ReceivePart> receive) override {
    channel_->exchange(rank_, send, receive);
  }
  void cancel(const std::string& reason) noexcept override { channel_->abort(reason); }
  std::unique_ptr<Transport> split(int color) override;

 private:
  std::vector<int> colors_of_all(int color);

  std::shared_ptr<ThreadWorld::Members> members_;
  std::shared_ptr<Channel> channel_;
  int rank_;
};

std::vector<int> ThreadTransport::colors_of_all(int color) {
  const auto ranks = static_cast<std::size_t>(size());
  std::vector<int> colors(ranks);
  std::vector<SendPart> send(ranks, {reinterpret_cast<const std::byte*>(&color), sizeof(int)});
  std::vector<ReceivePart> receive(ranks);
  for (std::size_t p = 0; p < ranks; ++p) {
    receive[p] = {reinterpret_cast<std::byte*>(&colors[p]), sizeof(int)};
  }
  exchange(send, receive);
  return colors;
}

std::unique_ptr<Transport> ThreadTransport::split(int color) {
  const std::vector<int> colors = colors_of_all(color);
  std::vector<int> world_ranks;
  int leader = -1;
  int rank = -1;
  for (int p = 0; p < size(); ++p) {
    if (color < 0 || colors[static_cast<std::size_t>(p)] != color) continue;
    if (leader < 0) leader = p;
    if (p == rank_) rank = static_cast<int>(world_ranks.size());
    world_ranks.push_back(world_rank(p));
  }
  if (leader == rank_) {
    channel_->handover(rank_) = members_->add(world_ranks, channel_->timeout_seconds());
  }
  // The exchanges order the leader's write before the members' reads, and those before the reset.
  colors_of_all(0);
  const std::shared_ptr<Channel> channel = leader < 0 ? nullptr : channel_->handover(leader);
  colors_of_all(0);
  if (leader == rank_) channel_->handover(rank_) = nullptr;
  if (channel == nullptr) return nullptr;
  return std::make_unique<ThreadTransport>(members_, channel, rank);
}

}  // namespace

ThreadWorld::ThreadWorld(int ranks, double timeout_seconds)
    : members_(std::make_shared<Members>()) {
  MOE_CHECK_GE(ranks, 1);
  std::vector<int> all(static_cast<std::size_t>(ranks));
  std::iota(all.begin(), all.end(), 0);
  members_->world = members_->add(std::move(all), timeout_seconds);
}

ThreadWorld::~ThreadWorld() = default;

int ThreadWorld::size() const {
  return members_->world->size();
}

std::unique_ptr<Group> ThreadWorld::group(int rank) {
  MOE_CHECK_GE(rank, 0);
  MOE_CHECK_LT(rank, size());
  return make_group(std::make_unique<ThreadTransport>(members_, members_->world, rank), "world");
}

void ThreadWorld::abort(const std::string& reason) {
  const std::lock_guard lock(members_->mutex);
  if (members_->aborted) return;
  members_->aborted = true;
  members_->reason = reason;
  for (const auto& weak : members_->channels) {
    if (const auto channel = weak.lock()) channel->abort(reason);
  }
}

}  // namespace moe::comm
