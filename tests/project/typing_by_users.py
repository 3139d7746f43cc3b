"""What a user's strictly checked script does with policies; mypy reads this, nothing runs it."""

from resizenet.transforms import BiTHyperRulePolicy, KeepRatioPolicy, RandomResizedCropPolicy, ResolutionSchedule

height, width = RandomResizedCropPolicy(224, eval_size=288).eval_size
area: int = height * width
share: float = RandomResizedCropPolicy(224).with_size((160, 192)).scale[0]
left, right = KeepRatioPolicy(224, eval_size=(224, 288)).eval_size
policy: BiTHyperRulePolicy = BiTHyperRulePolicy.for_image(32, 32).with_size(64)
weights = {32: 0.3, 48: 0.7}
ResolutionSchedule.mix(weights)
ResolutionSchedule.mix({32: 0.3, (32, 48): 0.7})
stages = {0: 128, 1: 160}
ResolutionSchedule.stages(stages)
ResolutionSchedule.stages({0: 128, 0.5: (160, 192)})
