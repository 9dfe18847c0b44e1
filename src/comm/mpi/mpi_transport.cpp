#include "comm/mpi/mpi_transport.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/format.h"
#include "comm/barrier.h"
#include "comm/mpi/mpi_api.h"
#include "comm/mpi/patience.h"
#include "comm/self/self_transport.h"

namespace moe::comm {
namespace {

constexpr int kTag = 1;
constexpr std::int64_t kLongestSleepUs = 50;

// A thread that waits may poll as long as it keeps no rank of this node off its core; a worker
// beside a computing thread may not.
constexpr Patience::Limits kUrgent{200, 200};
constexpr Patience::Limits kUrgentOversubscribed{20, 200};
constexpr Patience::Limits kBackground{20, 0};

std::string mpi_text(int code) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  return std::string(text, static_cast<std::size_t>(length));
}

class MpiTransport : public Transport {
 public:
  MpiTransport(MPI_Comm comm, std::vector<int> world_ranks, const MpiOptions& options,
               int local_ranks);
  ~MpiTransport() override;

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(world_ranks_.size()); }
  int world_rank(int member) const override {
    return world_ranks_[static_cast<std::size_t>(member)];
  }
  void exchange(std::span<const SendPart> send, std::span<const ReceivePart> receive) override;
  std::unique_ptr<Transport> split(int color) override;
  void cancel(const std::string& reason) noexcept override;
  void set_urgent(bool urgent) noexcept override { urgent_.store(urgent); }

 private:
  // What a request was for.
  struct Message {
    int peer;
    int bytes;
    bool receives;
  };

  void post_receive(int peer, const ReceivePart& part);
  void post_send(int peer, const SendPart& part);
  void wait_all();
  void check_sizes(int code);
  [[noreturn]] void give_up(const std::string& reason);
  std::vector<int> silent_peers();
  std::string cancel_reason();
  const Patience::Limits& limits() const {
    if (!urgent_.load(std::memory_order_relaxed)) return kBackground;
    return oversubscribed_ ? kUrgentOversubscribed : kUrgent;
  }

  MPI_Comm comm_;
  int rank_ = 0;
  std::vector<int> world_ranks_;
  MpiOptions options_;
  int local_ranks_;
  bool oversubscribed_;
  bool failed_ = false;
  std::atomic<bool> urgent_ = false;
  std::atomic<bool> cancelled_ = false;
  std::mutex reason_mutex_;
  std::string reason_;
  std::vector<MPI_Request> requests_;  // kept between exchanges: no allocation in a steady loop
  std::vector<MPI_Status> statuses_;
  std::vector<Message> messages_;
};

MpiTransport::MpiTransport(MPI_Comm comm, std::vector<int> world_ranks, const MpiOptions& options,
                           int local_ranks)
    : comm_(comm),
      world_ranks_(std::move(world_ranks)),
      options_(options),
      local_ranks_(local_ranks),
      oversubscribed_(local_ranks > static_cast<int>(std::thread::hardware_concurrency())) {
  MPI_Comm_rank(comm_, &rank_);
  MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
}

MpiTransport::~MpiTransport() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  // After a failure messages may still be under way: the job is ending, its communicators stay.
  if (finalized == 0 && !failed_) MPI_Comm_free(&comm_);
}

void MpiTransport::post_receive(int peer, const ReceivePart& part) {
  for (std::int64_t at = 0; at < part.bytes; at += options_.max_message_bytes) {
    const int bytes = static_cast<int>(std::min(part.bytes - at, options_.max_message_bytes));
    messages_.push_back({peer, bytes, true});
    MPI_Irecv(part.data + at, bytes, MPI_BYTE, peer, kTag, comm_,
              &requests_.emplace_back(MPI_REQUEST_NULL));
  }
}

void MpiTransport::post_send(int peer, const SendPart& part) {
  for (std::int64_t at = 0; at < part.bytes; at += options_.max_message_bytes) {
    const int bytes = static_cast<int>(std::min(part.bytes - at, options_.max_message_bytes));
    messages_.push_back({peer, bytes, false});
    MPI_Isend(part.data + at, bytes, MPI_BYTE, peer, kTag, comm_,
              &requests_.emplace_back(MPI_REQUEST_NULL));
  }
}

void MpiTransport::exchange(std::span<const SendPart> send, std::span<const ReceivePart> receive) {
  requests_.clear();
  messages_.clear();
  const int ranks = size();
  // Each rank starts with its neighbour, so that not all send to the same one first.
  for (int step = 1; step < ranks; ++step) {
    const int peer = (rank_ + ranks - step) % ranks;
    post_receive(peer, receive[static_cast<std::size_t>(peer)]);
  }
  for (int step = 1; step < ranks; ++step) {
    const int peer = (rank_ + step) % ranks;
    post_send(peer, send[static_cast<std::size_t>(peer)]);
  }
  const auto self = static_cast<std::size_t>(rank_);
  copy_own_part(send[self], receive[self]);
  wait_all();
}

void MpiTransport::wait_all() {
  if (requests_.empty() && !cancelled_.load()) return;
  statuses_.resize(requests_.size());
  const Stopwatch watch;
  Patience patience(kLongestSleepUs);
  for (;;) {
    int done = 0;
    const int code =
        MPI_Testall(static_cast<int>(requests_.size()), requests_.data(), &done, statuses_.data());
    if (code != MPI_SUCCESS || done != 0) return check_sizes(code);
    if (cancelled_.load(std::memory_order_relaxed)) give_up(cancel_reason());
    if (patience.is_time_to_check() && watch.seconds() > options_.timeout_seconds) {
      give_up(format("did not arrive within {} s", options_.timeout_seconds));
    }
    patience.pause(limits());
  }
}

void MpiTransport::check_sizes(int code) {
  for (std::size_t i = 0; i < messages_.size(); ++i) {
    const Message& message = messages_[i];
    const int error = code == MPI_ERR_IN_STATUS ? statuses_[i].MPI_ERROR : code;
    if (error != MPI_SUCCESS && error != MPI_ERR_PENDING) {
      failed_ = true;
      throw TransportFailure(format("{} bytes {}: {}", message.bytes,
                                    message.receives ? "expected" : "to be sent", mpi_text(error)),
                             {message.peer});
    }
    if (!message.receives || code != MPI_SUCCESS) continue;
    int bytes = 0;
    MPI_Get_count(&statuses_[i], MPI_BYTE, &bytes);
    if (bytes == message.bytes) continue;
    failed_ = true;
    throw TransportFailure(
        format("expected {} bytes, the peer sent {}: the ranks do not run the same "
               "operation",
               message.bytes, bytes),
        {message.peer});
  }
}

std::vector<int> MpiTransport::silent_peers() {
  std::vector<int> receiving;
  std::vector<int> sending;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    int done = 0;
    MPI_Request_get_status(requests_[i], &done, MPI_STATUS_IGNORE);
    if (done == 0) (messages_[i].receives ? receiving : sending).push_back(messages_[i].peer);
  }
  std::vector<int>& peers = receiving.empty() ? sending : receiving;
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

void MpiTransport::give_up(const std::string& reason) {
  const std::vector<int> peers = silent_peers();
  failed_ = true;
  for (std::size_t i = 0; i < requests_.size(); ++i) {
    if (requests_[i] == MPI_REQUEST_NULL) continue;
    // A late message must not be written into memory that the caller frees.
    if (messages_[i].receives) MPI_Cancel(&requests_[i]);
    MPI_Request_free(&requests_[i]);
  }
  throw TransportFailure(reason, peers);
}

std::string MpiTransport::cancel_reason() {
  const std::lock_guard lock(reason_mutex_);
  return reason_;
}

void MpiTransport::cancel(const std::string& reason) noexcept {
  {
    const std::lock_guard lock(reason_mutex_);
    if (!cancelled_.load()) reason_ = reason;
  }
  cancelled_.store(true);
}

std::unique_ptr<Transport> MpiTransport::split(int color) {
  barrier(*this);  // a missing rank is named here; MPI_Comm_split would wait for ever
  MPI_Comm part = MPI_COMM_NULL;
  const int code = MPI_Comm_split(comm_, color < 0 ? MPI_UNDEFINED : color, rank_, &part);
  if (code != MPI_SUCCESS) throw TransportFailure("MPI_Comm_split: " + mpi_text(code), {});
  if (part == MPI_COMM_NULL) return nullptr;
  int ranks = 0;
  MPI_Comm_size(part, &ranks);
  std::vector<int> members(static_cast<std::size_t>(ranks));
  const int self = world_rank(rank_);
  MPI_Allgather(&self, 1, MPI_INT, members.data(), 1, MPI_INT, part);
  return std::make_unique<MpiTransport>(part, std::move(members), options_, local_ranks_);
}

}  // namespace

std::unique_ptr<Transport> make_mpi_world_transport(const MpiOptions& options, int local_ranks) {
  MPI_Comm comm = MPI_COMM_NULL;
  MPI_Comm_dup(MPI_COMM_WORLD, &comm);
  int ranks = 0;
  MPI_Comm_size(comm, &ranks);
  std::vector<int> world_ranks(static_cast<std::size_t>(ranks));
  for (int p = 0; p < ranks; ++p) world_ranks[static_cast<std::size_t>(p)] = p;
  return std::make_unique<MpiTransport>(comm, std::move(world_ranks), options, local_ranks);
}

}  // namespace moe::comm
