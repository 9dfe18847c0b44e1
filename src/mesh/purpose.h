/// What ranks act together for. Code below parallel/ asks by purpose, never by axis.
#pragma once

#include <array>
#include <string_view>

namespace moe::mesh {

enum class Purpose {
  ReadData,           ///< ranks that read different sequences: data
  SumLoss,            ///< data x context
  SumSplitGrad,       ///< of a parameter cut over tensor: data x context
  SumReplicatedGrad,  ///< of a parameter whole on every rank of a stage: data x context, and tensor
                      ///< if it splits tokens
  SumExpertGrad,      ///< of a parameter cut over expert: what expert and expert_tensor leave of a
                      ///< stage
  SumTiedGrad,        ///< first and last stage, which share the embedding
  SumGradNorm,        ///< the world
  SumRouting,         ///< one sequence's routing: context, and tensor if it splits tokens
  SumRoutingGlobal,   ///< all ranks that route other tokens: SumRouting x data
  ExchangeTokens,     ///< expert
  JoinHidden,         ///< tensor
  JoinExpertHidden,   ///< expert_tensor
  ExchangeSequence,   ///< context
  GatherShard,        ///< data_shard: slices of one parameter's optimizer state
  GatherExpertShard,  ///< the same of an expert parameter: SumExpertGrad within one data_replicate
                      ///< block
  PassActivations,    ///< pipeline; neighbours are next to each other
};

inline constexpr std::array kPurposes{
    Purpose::ReadData,          Purpose::SumLoss,       Purpose::SumSplitGrad,
    Purpose::SumReplicatedGrad, Purpose::SumExpertGrad, Purpose::SumTiedGrad,
    Purpose::SumGradNorm,       Purpose::SumRouting,    Purpose::SumRoutingGlobal,
    Purpose::ExchangeTokens,    Purpose::JoinHidden,    Purpose::JoinExpertHidden,
    Purpose::ExchangeSequence,  Purpose::GatherShard,   Purpose::GatherExpertShard,
    Purpose::PassActivations};

constexpr std::string_view to_string(Purpose purpose) {
  switch (purpose) {
    case Purpose::ReadData:
      return "ReadData";
    case Purpose::SumLoss:
      return "SumLoss";
    case Purpose::SumSplitGrad:
      return "SumSplitGrad";
    case Purpose::SumReplicatedGrad:
      return "SumReplicatedGrad";
    case Purpose::SumExpertGrad:
      return "SumExpertGrad";
    case Purpose::SumTiedGrad:
      return "SumTiedGrad";
    case Purpose::SumGradNorm:
      return "SumGradNorm";
    case Purpose::SumRouting:
      return "SumRouting";
    case Purpose::SumRoutingGlobal:
      return "SumRoutingGlobal";
    case Purpose::ExchangeTokens:
      return "ExchangeTokens";
    case Purpose::JoinHidden:
      return "JoinHidden";
    case Purpose::JoinExpertHidden:
      return "JoinExpertHidden";
    case Purpose::ExchangeSequence:
      return "ExchangeSequence";
    case Purpose::GatherShard:
      return "GatherShard";
    case Purpose::GatherExpertShard:
      return "GatherExpertShard";
    case Purpose::PassActivations:
      return "PassActivations";
  }
  return "unknown";
}

}  // namespace moe::mesh
