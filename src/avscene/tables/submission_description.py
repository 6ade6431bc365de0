"""Write the description of a challenge submission (`LABEL.meta.yaml`) for the participant to fill in.

Its blocks and fields are those that the organisers' validator of DCASE 2020 task 1 requires, without those for devices
and with one for the video, whose name is ours: the 2021 form for task 1B is not publicly available as a file.
"""

from avscene.labels import TAU_SCENES

_TEMPLATE = """\
# Description of a submission to DCASE 2021 task 1B. Fill in every field that is null, then compare this file with the
# one in the challenge's example package: blocks and fields are those of the challenge's validator of 2020 (task 1), and
# video_features is a name of ours.

submission:
  # LASTNAME_INSTITUTE_task1b_N of the corresponding author; the files are LABEL.output.csv and LABEL.meta.yaml.
  label: {label}
  # Name of the system in tables of results.
  name: null
  # The same in at most 10 characters.
  abbreviation: null
  # In the order in which they are listed; exactly one is the corresponding author.
  authors:
    - lastname: {lastname}
      firstname: null
      email: null
      corresponding: true
      affiliation:
        abbreviation: {institute}
        institute: null
        department: null
        location: null

system:
  description:
    # Of the audio, such as 48kHz.
    input_sampling_rate: null
    # Such as log-mel energies, openl3.
    acoustic_features: null
    # Such as frames, clip. The name of this field is ours.
    video_features: null
    # Pretrained embeddings, such as openl3, clip; null if none.
    embeddings: null
    # Such as mixup, specaugment; null if none.
    data_augmentation: null
    # Such as cnn, linear, ensemble.
    machine_learning_method: null
    # Number of models that are fused; 1 if there is one.
    ensemble_method_subsystem_count: null
    # How they are fused, such as average, weighted average, log-linear pool; null if there is one.
    decision_making: null
    # Such as pre-trained model, embeddings; null if none.
    external_data_usage: null
  complexity:
    # Number of parameters of all models, also of frozen ones.
    total_parameters: null
  # One entry for each data set or pretrained model; [] if none.
  external_datasets:
    - name: null
      url: null
      total_audio_length: null
  # Address of the code; null if it is not public.
  source_code: null

results:
  # On the test part of fold 1 of the development set; try: avscene evaluate TABLE
  development_dataset:
    overall:
      accuracy: null
      logloss: null
    class_wise:
{scenes}
"""


def description_template(label: str) -> str:
    """Return the description of the submission with a label such as `Lastname_INSTITUTE_task1b_1`, to be filled in."""
    lastname, institute, *_ = label.split("_")
    scenes = "\n".join(f"      {scene}: {{accuracy: null, logloss: null}}" for scene in TAU_SCENES)
    # In quotes: a name such as No, or of digits, would be another kind of value.
    return _TEMPLATE.format(label=label, lastname=f'"{lastname}"', institute=f'"{institute}"', scenes=scenes)
